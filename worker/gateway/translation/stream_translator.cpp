#include "worker/gateway/translation/stream_translator.hpp"

#include <utility>

#include "worker/gateway/strict_body.hpp"

namespace germline::worker::translation {
namespace {

constexpr std::string_view unreadable = "the upstream's stream cannot be read";

}  // namespace

// Nothing that an upstream sends may end the gateway.
template <class Step>
void stream_translator::guarded(Step step) {
  try {
    step();
  } catch (const strict::refused& why) {
    put_error(std::string(unreadable) + ": " + why.message);
  } catch (const nlohmann::json::exception&) {
    put_error(unreadable);
  }
}

std::string stream_translator::feed(std::string_view bytes, const token_counts& used) {
  while (!bytes.empty() && !failed_ && !ended_) {
    const auto end = bytes.find('\n');
    const auto part = bytes.substr(0, end);
    if (line_.size() + part.size() > max_held_bytes) {
      put_error("an event of the upstream's stream is too long");
      break;
    }
    line_ += part;
    if (end == bytes.npos) break;
    bytes.remove_prefix(end + 1);
    guarded([&] { take_line(used); });
    line_.clear();
    if (held_bytes() > max_held_bytes) put_error("the upstream's tool calls are too long");
  }
  return std::exchange(out_, {});
}

void stream_translator::take_line(const token_counts& used) {
  std::string_view line = line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with(':')) return put_sign_of_life();
  if (!line.starts_with("data:")) return;
  line.remove_prefix(5);
  if (line.starts_with(' ')) line.remove_prefix(1);
  take(line, used);
}

std::string stream_translator::finish(const token_counts& used) {
  if (!failed_ && !ended_ && !line_.empty()) {  // the last one, without its newline
    guarded([&] { take_line(used); });
    line_.clear();
  }
  if (!failed_ && !ended_) guarded([&] { take_end(used); });
  return std::exchange(out_, {});
}

std::string stream_translator::fail(std::string_view message) {
  if (!failed_ && !ended_) put_error(message);
  return std::exchange(out_, {});
}

void stream_translator::put_error(std::string_view message) {
  if (failed_ || ended_) return;
  failed_ = true;
  line_.clear();
  out_ += client_.stream_error(message);
}

}  // namespace germline::worker::translation
