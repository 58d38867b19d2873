#include "cli/render/conversation.hpp"

#include <algorithm>

#include "common/money.hpp"
#include "common/text/units.hpp"

namespace germline::cli {
namespace {

constexpr std::size_t most_lines = 20;
constexpr std::size_t most_bytes = 2'000;
constexpr std::size_t margin = 2;

/// How much of `text` is shown.
std::size_t shown_bytes(std::string_view text) {
  std::size_t lines = 0;
  std::size_t at = 0;
  while (at < text.size() && at < most_bytes && lines < most_lines) {
    const auto end = text.find('\n', at);
    at = end == text.npos ? text.size() : end + 1;
    ++lines;
  }
  at = std::min({at, text.size(), most_bytes});
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

std::string headline(const conversation_exchange& one) {
  auto text = "#" + std::to_string(one.number) + "  " + safe_line(one.at) + "  " +
              safe_line(one.path) + "  ";
  text += one.status == 0 ? "not answered" : std::to_string(one.status);
  if (one.outcome != "settled") text += " " + safe_line(one.outcome);
  if (!one.upstream.empty()) text += " by " + safe_line(one.upstream);
  text += "  " + duration(one.duration_ms) + "  " + std::to_string(one.input_tokens) + " in, ";
  if (one.cached_tokens > 0) text += std::to_string(one.cached_tokens) + " cached, ";
  return text + std::to_string(one.output_tokens) + " out  " + format_usd(one.cost_nanousd);
}

std::size_t common_beginning(const std::vector<conversation_part>& a,
                             const std::vector<conversation_part>& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

std::string conversation::tell(const conversation_exchange& one) {
  const auto said = request_parts(one.request);
  const auto answer = answer_parts(one.response);
  const auto known = common_beginning(said, before_);
  auto text = indented(how_, headline(one), 0);
  if (known == 0 && !before_.empty()) text += "  (another conversation)\n";
  if (known > 0 && known < asked_before_) {
    text += "  (" + std::to_string(known) + " parts as before)\n";
  }
  for (auto i = known; i < said.size(); ++i) text += told(said[i]);
  for (const auto& part : answer) text += told(part);
  if (one.is_cut) text += "  (cut: only the beginning was recorded)\n";
  keep(said, answer);
  return text + "\n";
}

void conversation::keep(std::vector<conversation_part> said,
                        const std::vector<conversation_part>& answer) {
  before_ = std::move(said);
  asked_before_ = before_.size();
  before_.insert(before_.end(), answer.begin(), answer.end());
}

std::string conversation::told(const conversation_part& part) const {
  auto text = "  " + painted(how_, paint::bold, safe_line(part.heading) + ":") + "\n";
  const auto bytes = whole_ ? part.text.size() : shown_bytes(part.text);
  auto shown = std::string_view(part.text).substr(0, bytes);
  while (shown.ends_with('\n')) shown.remove_suffix(1);
  text += indented(how_, shown, 2 * margin);
  if (bytes < part.text.size()) {
    text += "    (" + rough_size(static_cast<std::int64_t>(part.text.size() - bytes)) + " more)\n";
  }
  return text;
}

}  // namespace germline::cli
