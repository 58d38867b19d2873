#include "worker/gateway/messages_reader.hpp"

#include <nlohmann/json.hpp>

namespace germline::worker {

using nlohmann::json;

bool messages_reader::read_usage(const json& usage) {
  if (!usage.is_object()) return false;
  token_counts read = counts_;
  bool sane = read_count(usage, "input_tokens", read.input) &&
              read_count(usage, "output_tokens", read.output) &&
              read_count(usage, "cache_creation_input_tokens", read.cache_write) &&
              read_count(usage, "cache_read_input_tokens", read.cache_read);
  const auto split = usage.find("cache_creation");
  if (split != usage.end() && split->is_object()) {
    sane = sane && read_count(*split, "ephemeral_1h_input_tokens", read.cache_write_1h);
  }
  if (!sane || read.cache_write_1h > read.cache_write) return false;
  input_told_ = input_told_ || member(usage, "input_tokens").is_number_integer();
  output_told_ = member(usage, "output_tokens").is_number_integer();
  adopt(read);
  return true;
}

bool messages_reader::take_data(std::string_view data) {
  if (data.find("\"message_") == data.npos) return false;
  const json event = without_lists(data);
  if (!event.is_object()) return false;
  const json& type = member(event, "type");
  const json& message = member(event, "message");
  if (type == "message_start" && message.is_object()) {
    started_ = read_usage(member(message, "usage"));
    broken_ = broken_ || !started_;
  } else if (type == "message_delta") {
    if (!read_usage(member(event, "usage"))) broken_ = true;
    ended_ = ended_ || member(member(event, "delta"), "stop_reason").is_string();
    counted_ = started_ && ended_ && input_told_ && output_told_;
  } else if (type == "message_stop") {
    closed_ = true;
  }
  return false;
}

void messages_reader::take_body(const json& body) {
  if (body.contains("usage")) counted_ = read_usage(body["usage"]) && input_told_ && output_told_;
}

}  // namespace germline::worker
