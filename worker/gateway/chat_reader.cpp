#include "worker/gateway/chat_reader.hpp"

#include <nlohmann/json.hpp>

namespace germline::worker {

using nlohmann::json;

void chat_reader::take_usage(const json& usage) {
  token_counts read;
  std::int64_t prompt = read.output = -1;  // both must be told
  bool sane = read_count(usage, "prompt_tokens", prompt) &&
              read_count(usage, "completion_tokens", read.output);
  const auto details = usage.find("prompt_tokens_details");
  if (details != usage.end() && details->is_object()) {
    sane = sane && read_count(*details, "cached_tokens", read.cache_read) &&
           read_count(*details, "cache_write_tokens", read.cache_write);
  }
  read.input = prompt - read.cache_read - read.cache_write;
  if (!sane || read.input < 0 || read.output < 0) {
    broken_ = true;
    return;
  }
  adopt(read);
  told_ = true;
}

/// Whether a choice ends in this chunk. In a string of the chunk its quotes were escaped.
bool chat_reader::tells_finish(std::string_view data) {
  constexpr std::string_view key = "\"finish_reason\"";
  for (auto at = data.find(key); at != data.npos; at = data.find(key, at)) {
    at = data.find_first_not_of(" \t:", at + key.size());
    if (at == data.npos) break;
    // Some say "" as long as it goes on.
    if (data[at] == '"' && !data.substr(at).starts_with("\"\"")) return true;
  }
  return false;
}

bool chat_reader::take_data(std::string_view data) {
  if (data == "[DONE]") {
    ended_ = closed_ = true;
    counted_ = told_;
    return false;
  }
  finished_ = finished_ || tells_finish(data);
  if (data.find("\"usage\"") == data.npos) return false;
  const json chunk = json::parse(data, nullptr, false);
  if (!chunk.is_object()) return false;
  const auto usage = chunk.find("usage");
  if (usage == chunk.end() || !usage->is_object()) return false;
  take_usage(*usage);
  const auto choices = chunk.find("choices");
  const bool last = choices != chunk.end() && choices->is_array() && choices->empty();
  // Some upstreams tell with every chunk what was used so far, or at first what the prompt is.
  if (last && finished_) counted_ = told_;
  return hides_usage_ && last;
}

void chat_reader::take_body(const json& body) {
  const auto usage = body.find("usage");
  if (usage != body.end() && usage->is_object()) take_usage(*usage);
  counted_ = told_;
}

}  // namespace germline::worker
