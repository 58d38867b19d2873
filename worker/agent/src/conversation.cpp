#include "conversation.hpp"

#include <algorithm>

#include "bounded_output.hpp"

namespace agent {
namespace {

constexpr std::size_t kept_turns = 8;
constexpr std::size_t short_bytes = 300;
constexpr std::size_t digest_bytes = 8'000;

bool shorten(json& value) {
  const auto text = value.string_or();
  if (text.size() <= 2 * short_bytes) return false;
  value = bounded(text, short_bytes, short_bytes / 2);
  return true;
}

bool shorten_block(json& block) {
  const auto type = block["type"].string_or();
  if (type == "tool_result") return shorten(block["content"]);
  bool changed = false;
  if (type == "tool_use") {
    auto members = block["input"].members();
    for (auto& member : members) changed = shorten(member.value) || changed;
    if (changed) block["input"] = members;
  }
  return changed;
}

std::string digest_of(const json& message) {
  std::string out;
  for (const auto& block : message["content"].items()) {
    const auto type = block["type"].string_or();
    if (type == "text")
      out += message["role"].string_or() + ": " + bounded(block["text"].string_or(), 150, 0) + "\n";
    if (type == "tool_use") {
      out +=
          "call " + block["name"].string_or() + " " + bounded(block["input"].text(), 120, 0) + "\n";
    }
    if (type == "tool_result")
      out += "  -> " + bounded(block["content"].string_or(), 80, 40) + "\n";
  }
  return out;
}

bool is_thinking(const json& block) {
  const auto type = block["type"].string_or();
  return type == "thinking" || type == "redacted_thinking";
}

// The API refuses an empty turn.
void fill(json::array_type& blocks) {
  if (blocks.empty()) blocks.push_back(json::of({{"type", "text"}, {"text", "(no answer)"}}));
}

// The API takes thinking back only if nothing before it has changed since.
void forget_thinking(json::array_type& messages) {
  for (auto& message : messages) {
    auto& blocks = message["content"].mutable_items();
    std::erase_if(blocks, is_thinking);
    fill(blocks);
  }
}

}  // namespace

json::array_type& conversation::user_blocks() {
  auto& all = messages_.mutable_items();
  if (all.empty() || all.back()["role"].string_or() != "user") {
    all.push_back(json::of({{"role", "user"}, {"content", json::list()}}));
  }
  return all.back()["content"].mutable_items();
}

void conversation::say(const std::string& text) {
  user_blocks().push_back(json::of({{"type", "text"}, {"text", text}}));
}

void conversation::answer(const json& content) {
  json::array_type blocks = content.items();
  // The API refuses empty text, and thinking that was cut off before it was signed.
  std::erase_if(blocks, [](const json& block) {
    const auto type = block["type"].string_or();
    if (type == "thinking") return block["signature"].string_or().empty();
    return type == "text" && block["text"].string_or().empty();
  });
  fill(blocks);
  messages_.push_back(json::of({{"role", "assistant"}, {"content", blocks}}));
}

void conversation::add_result(const std::string& call_id, const std::string& text, bool is_error) {
  user_blocks().push_back(json::of({{"type", "tool_result"},
                                    {"tool_use_id", call_id},
                                    {"content", text.empty() ? "(no output)" : text},
                                    {"is_error", is_error}}));
}

bool conversation::compact(std::size_t limit_bytes) {
  auto& all = messages_.mutable_items();
  bool changed = false;
  if (messages_.text().size() <= limit_bytes || all.size() <= kept_turns + 1) return false;
  // Each pass works on what is there and ends; nothing here can go on for ever.
  const auto old_end = all.size() - kept_turns;
  for (std::size_t i = 1; i < old_end; ++i) {
    for (auto& block : all[i]["content"].mutable_items()) changed = shorten_block(block) || changed;
  }
  if (changed) forget_thinking(all);
  if (messages_.text().size() <= limit_bytes) return changed;
  // The kept part begins with an answer, so that no result stands without its call.
  auto first_kept = all.begin() + static_cast<std::ptrdiff_t>(old_end);
  while (first_kept != all.begin() + 1 && (*first_kept)["role"].string_or() != "assistant")
    --first_kept;
  if (first_kept == all.begin() + 1) return changed;
  bounded_output digest(digest_bytes / 2, digest_bytes / 2);
  for (auto at = all.begin() + 1; at != first_kept; ++at) digest.append(digest_of(*at));
  all.erase(all.begin() + 1, first_kept);
  forget_thinking(all);
  all.front()["content"].push_back(
      json::of({{"type", "text"}, {"text", "[Earlier turns, shortened:]\n" + digest.text()}}));
  return true;
}

}  // namespace agent
