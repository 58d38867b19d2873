#include "tests/scripted_upstream/reply_reading.hpp"

#include <algorithm>

namespace germline::scripted {
namespace {

using nlohmann::json;

constexpr std::size_t shown_bytes = 60;
constexpr std::uint64_t max_delay_ms = 24 * 60 * 60 * 1000;

/// Member `name` is a string, and there if it `must` be; an empty one only where `may_be_empty`.
result<void> check_string(const json& item, const char* name, bool must, bool may_be_empty,
                          const std::string& where) {
  const auto found = item.find(name);
  if (found == item.end()) {
    if (!must) return {};
    return error(error_code::invalid_argument,
                 where + " needs '" + std::string(name) + "', a string");
  }
  if (found->is_string() && (may_be_empty || !found->get_ref<const std::string&>().empty())) {
    return {};
  }
  return not_right(
      where, "'" + std::string(name) + "' is a string" + (may_be_empty ? "" : " that is not empty"),
      *found);
}

result<void> check_number(const json& item, const char* name, std::uint64_t most,
                          const std::string& where) {
  const auto found = item.find(name);
  if (found == item.end()) return {};
  if (found->is_number_unsigned() && found->get<std::uint64_t>() <= most) return {};
  return not_right(
      where, "'" + std::string(name) + "' is a whole number from 0 to " + std::to_string(most),
      *found);
}

result<void> check_tool_use(const json& block, const std::string& where) {
  GERMLINE_TRY(only_keys(block, {"type", "id", "name", "namespace", "input"}, where));
  GERMLINE_TRY(check_string(block, "name", true, false, where));
  GERMLINE_TRY(check_string(block, "id", false, false, where));
  GERMLINE_TRY(check_string(block, "namespace", false, false, where));
  const auto input = block.find("input");
  if (input == block.end() || input->is_object() || input->is_string()) return {};
  return not_right(where, "'input' is an object, or a string for a custom tool", *input);
}

result<void> check_block(const json& block, const std::string& where) {
  if (!block.is_object()) return not_right(where, "a block is an object with 'type'", block);
  const std::string types = "'type' is \"text\", \"tool_use\" or \"thinking\"";
  const auto type = block.find("type");
  if (type == block.end()) {
    return error(error_code::invalid_argument, where + " needs 'type': " + types);
  }
  if (*type == "text") {
    GERMLINE_TRY(only_keys(block, {"type", "text"}, where));
    return check_string(block, "text", true, true, where);
  }
  if (*type == "thinking") {
    GERMLINE_TRY(only_keys(block, {"type", "thinking", "signature"}, where));
    GERMLINE_TRY(check_string(block, "thinking", true, true, where));
    return check_string(block, "signature", false, true, where);
  }
  if (*type == "tool_use") return check_tool_use(block, where);
  return not_right(where, types, *type);
}

result<json> read_fault(const json& given, const std::string& where) {
  GERMLINE_TRY(
      only_keys(given, {"status", "error", "retry_after"}, where + ": a reply with 'status'"));
  const auto& status = given["status"];
  if (!status.is_number_unsigned() || status < 400 || status > 599) {
    return not_right(where, "'status' is a whole number from 400 to 599", status);
  }
  json reply = given;
  if (!reply.contains("retry_after")) return reply;
  auto& retry_after = reply["retry_after"];
  if (retry_after.is_number_unsigned()) {
    retry_after = std::to_string(retry_after.get<std::uint64_t>());
  }
  const auto text = retry_after.is_string() ? retry_after.get<std::string>() : "";
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!text.empty() && digits) return reply;
  return not_right(where, "'retry_after' is seconds: digits in a string, or a whole number",
                   retry_after);
}

}  // namespace

error not_right(const std::string& where, const std::string& right, const json& got) {
  std::string shown = got.dump(-1, ' ', true, json::error_handler_t::replace);
  if (shown.size() > shown_bytes) shown = shown.substr(0, shown_bytes) + "...";
  return {error_code::invalid_argument, where + ": " + right + ", not " + shown};
}

result<void> only_keys(const json& item, std::initializer_list<std::string_view> known,
                       const std::string& where) {
  for (const auto& [key, ignored] : item.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string all;
    for (const auto each : known) all += (all.empty() ? "'" : ", '") + std::string(each) + "'";
    return error(error_code::invalid_argument,
                 where + " has '" + key + "', which is not known; known are " + all);
  }
  return {};
}

result<json> read_reply(const json& given, const std::string& where) {
  if (!given.is_object() || given.contains("content") == given.contains("status")) {
    return error(error_code::invalid_argument,
                 where + ": a reply has 'content' or 'status', and not both");
  }
  if (given.contains("status")) return read_fault(given, where);
  GERMLINE_TRY(
      only_keys(given, {"content", "stop_reason", "delay_ms", "event_delay_ms", "cut_after_events"},
                where + ": a reply with 'content'"));
  const auto& content = given["content"];
  if (!content.is_array()) return not_right(where, "'content' is a list of blocks", content);
  for (std::size_t i = 0; i < content.size(); ++i) {
    GERMLINE_TRY(check_block(content[i], where + ", block " + std::to_string(i + 1)));
  }
  GERMLINE_TRY(check_string(given, "stop_reason", false, false, where));
  GERMLINE_TRY(check_number(given, "delay_ms", max_delay_ms, where));
  GERMLINE_TRY(check_number(given, "event_delay_ms", max_delay_ms, where));
  GERMLINE_TRY(check_number(given, "cut_after_events", 1'000'000'000, where));
  return given;
}

}  // namespace germline::scripted
