#include "worker/gateway/answer_reader.hpp"

#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr std::size_t max_body_bytes = 32 << 20;
constexpr std::size_t max_kept_bytes = 64 << 10;
constexpr std::int64_t max_tokens = 1'000'000'000;

std::int64_t all_input(const token_counts& counts) {
  return counts.input + counts.cache_write + counts.cache_read;
}

json built(const simdjson::dom::element& from) {
  using simdjson::dom::element_type;
  switch (from.type()) {
    case element_type::OBJECT: {
      json::object_t all;
      for (const auto& [key, each] : simdjson::dom::object(from)) {
        all.insert_or_assign(std::string(key), built(each));
      }
      return all;
    }
    case element_type::STRING:
      return std::string_view(from);
    case element_type::INT64:
      return std::int64_t(from);
    case element_type::UINT64:
      return std::uint64_t(from);
    case element_type::DOUBLE:
      return double(from);
    case element_type::BOOL:
      return bool(from);
    case element_type::ARRAY:  // content, which nobody counts
    case element_type::NULL_VALUE:
      break;
  }
  return nullptr;
}

}  // namespace

// What simdjson does not take, nlohmann may: deeper nesting, longer numbers.
json answer_reader::without_lists(std::string_view text, std::string_view only) {
  static thread_local simdjson::dom::parser kept;  // its memory serves the next
  simdjson::dom::parser once;
  auto& parser = text.size() <= max_kept_bytes ? kept : once;
  simdjson::dom::element root;
  if (parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) {
    return json::parse(text, nullptr, false);
  }
  simdjson::dom::object members;
  if (only.empty() || root.get(members) != simdjson::SUCCESS) return built(root);
  json::object_t found;
  for (const auto& [key, each] : members) {
    if (key == only) found.insert_or_assign(std::string(key), built(each));
  }
  return found;
}

const json& answer_reader::member(const json& object, const char* key) {
  static const json none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

bool answer_reader::read_count(const json& usage, const char* key, std::int64_t& into) {
  const auto found = usage.find(key);
  if (found == usage.end() || found->is_null()) return true;
  if (!found->is_number_integer() || *found < 0 || *found > max_tokens) return false;
  into = found->get<std::int64_t>();
  return true;
}

void answer_reader::adopt(const token_counts& read) {
  const auto output = std::max(read.output, counts_.output);
  if (all_input(read) >= all_input(counts_)) counts_ = read;
  counts_.output = output;
}

void answer_reader::feed(std::string& bytes) {
  if (!event_stream_) {
    if (pending_.size() + bytes.size() > max_body_bytes) broken_ = true;
    if (!broken_) pending_ += bytes;
    return;
  }
  if (!limits_.drops_events) return take_lines(bytes, nullptr);
  std::string shown;
  take_lines(bytes, &shown);
  bytes = std::move(shown);
}

void answer_reader::take_lines(std::string_view bytes, std::string* shown) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const bool whole = end != bytes.npos;
    const std::string_view part = bytes.substr(0, end);
    const std::string_view raw = bytes.substr(0, whole ? end + 1 : end);
    if (pending_.size() + part.size() > limits_.max_line_bytes) line_too_long_ = true;
    const bool is_apart = !whole || !pending_.empty();  // else it is read where it is
    if (is_apart && !line_too_long_) pending_ += part;
    if (shown) {
      event_too_long_ = event_too_long_ || event_.size() + raw.size() > limits_.max_line_bytes;
      event_ += raw;
      if (event_too_long_) *shown += std::exchange(event_, {});
    }
    if (!whole) return;
    const std::string_view line = is_apart ? pending_ : part;
    const bool event_ends = !line_too_long_ && (line.empty() || line == "\r");
    if (!line_too_long_ && take_line(line)) drop_event_ = true;
    pending_.clear();
    line_too_long_ = false;
    if (event_ends) {
      if (shown && !drop_event_) *shown += event_;
      event_.clear();
      drop_event_ = event_too_long_ = false;
    }
    bytes.remove_prefix(raw.size());
  }
}

bool answer_reader::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!line.starts_with("data:")) return false;
  line.remove_prefix(5);
  if (line.starts_with(' ')) line.remove_prefix(1);
  return take_data(line);
}

std::string answer_reader::rest() {
  if (drop_event_) event_.clear();
  return std::exchange(event_, {});
}

void answer_reader::end() {
  if (!event_stream_ || pending_.empty() || line_too_long_) return;
  drop_event_ = take_line(pending_) || drop_event_;
  pending_.clear();
}

std::optional<token_counts> answer_reader::finish() {
  if (!event_stream_ && !broken_) {
    const json body = without_lists(pending_, "usage");
    if (body.is_object()) take_body(body);
    pending_.clear();
  }
  if (broken_ || !counted_) return std::nullopt;
  return counts_;
}

}  // namespace germline::worker
