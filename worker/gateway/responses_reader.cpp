#include "worker/gateway/responses_reader.hpp"

#include <nlohmann/json.hpp>

namespace germline::worker {

using nlohmann::json;

bool responses_reader::take_data(std::string_view data) {
  bool may_be_last = false;
  for (const std::string_view type :
       {"\"response.completed\"", "\"response.incomplete\"", "\"response.failed\""}) {
    may_be_last = may_be_last || data.find(type) != data.npos;
  }
  if (!may_be_last) return false;
  const json event = without_lists(data);
  if (!event.is_object()) return false;
  const json& type = member(event, "type");
  if (type != "response.completed" && type != "response.incomplete" && type != "response.failed") {
    return false;
  }
  ended_ = closed_ = true;
  const auto response = event.find("response");
  if (response != event.end() && response->is_object()) take_body(*response);
  return false;
}

void responses_reader::take_body(const json& body) {
  const auto usage = body.find("usage");
  if (usage == body.end() || !usage->is_object()) return;
  token_counts read;
  std::int64_t input = read.output = -1;  // both must be told
  bool sane =
      read_count(*usage, "input_tokens", input) && read_count(*usage, "output_tokens", read.output);
  const auto details = usage->find("input_tokens_details");
  if (details != usage->end() && details->is_object()) {
    sane = sane && read_count(*details, "cached_tokens", read.cache_read) &&
           read_count(*details, "cache_write_tokens", read.cache_write);
  }
  read.input = input - read.cache_read - read.cache_write;
  counted_ = sane && read.input >= 0 && read.output >= 0;
  broken_ = broken_ || !counted_;
  if (counted_) adopt(read);
}

}  // namespace germline::worker
