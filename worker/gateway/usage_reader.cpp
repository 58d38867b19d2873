#include "worker/gateway/usage_reader.hpp"

#include <nlohmann/json.hpp>

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr std::size_t max_line_bytes = 1 << 20;
constexpr std::size_t max_body_bytes = 32 << 20;
constexpr std::int64_t max_tokens = 1'000'000'000;

/// Overwrites `into` where `usage` has the key; false if its value is no sane count.
bool read_count(const json& usage, const char* key, std::int64_t& into) {
  const auto found = usage.find(key);
  if (found == usage.end() || found->is_null()) return true;
  if (!found->is_number_integer() || *found < 0 || *found > max_tokens) return false;
  into = found->get<std::int64_t>();
  return true;
}

bool read_usage(const json& usage, token_counts& counts) {
  if (!usage.is_object()) return false;
  bool sane = read_count(usage, "input_tokens", counts.input) &&
              read_count(usage, "output_tokens", counts.output) &&
              read_count(usage, "cache_creation_input_tokens", counts.cache_write) &&
              read_count(usage, "cache_read_input_tokens", counts.cache_read);
  const auto split = usage.find("cache_creation");
  if (split != usage.end() && split->is_object()) {
    sane = sane && read_count(*split, "ephemeral_1h_input_tokens", counts.cache_write_1h);
  }
  return sane && counts.cache_write_1h <= counts.cache_write;
}

}  // namespace

void usage_reader::feed(std::string_view bytes) {
  if (!event_stream_) {
    if (pending_.size() + bytes.size() > max_body_bytes) broken_ = true;
    if (!broken_) pending_ += bytes;
    return;
  }
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (pending_.size() + part.size() > max_line_bytes) line_too_long_ = true;
    if (!line_too_long_) pending_ += part;
    if (end == std::string_view::npos) return;
    if (!line_too_long_) take_line(pending_);  // such a line is content, which is not looked at
    pending_.clear();
    line_too_long_ = false;
    bytes.remove_prefix(end + 1);
  }
}

void usage_reader::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!line.starts_with("data:")) return;
  line.remove_prefix(5);
  if (line.find("\"message_start\"") == line.npos && line.find("\"message_delta\"") == line.npos) {
    return;
  }
  const json event = json::parse(line, nullptr, false);
  if (!event.is_object()) return;
  const json type = event.value("type", json());
  if (type == "message_start" && event.contains("message") && event["message"].is_object()) {
    started_ = read_usage(event["message"].value("usage", json()), counts_);
    broken_ = broken_ || !started_;
  } else if (type == "message_delta") {
    if (!read_usage(event.value("usage", json()), counts_)) broken_ = true;
    const json delta = event.value("delta", json());
    final_ = final_ || (delta.is_object() && delta.value("stop_reason", json()).is_string());
  }
}

std::optional<token_counts> usage_reader::finish() {
  if (!event_stream_ && !broken_) {
    const json body = json::parse(pending_, nullptr, false);
    if (body.is_object() && body.contains("usage")) {
      started_ = final_ = read_usage(body["usage"], counts_);
    }
    pending_.clear();
  }
  if (broken_ || !started_ || !final_) return std::nullopt;
  return counts_;
}

}  // namespace germline::worker
