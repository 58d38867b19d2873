// chat_reader: the usage in an answer of OpenAI Chat Completions: in the stream's last chunks, or
// in the one body. Cached and reasoning tokens are counted within prompt_tokens and
// completion_tokens. Where the client did not ask for the usage, the chunk that holds nothing else
// is dropped. One per answer, one thread at a time.
#pragma once

#include "worker/gateway/answer_reader.hpp"

namespace germline::worker {

class chat_reader final : public answer_reader {
 public:
  chat_reader(bool event_stream, bool hides_usage)
      : answer_reader(event_stream, {.drops_events = hides_usage}), hides_usage_(hides_usage) {}

 private:
  bool take_data(std::string_view data) override;
  void take_body(const nlohmann::json& body) override;
  void take_usage(const nlohmann::json& usage);
  static bool tells_finish(std::string_view data);

  const bool hides_usage_;
  bool told_ = false;      // so far
  bool finished_ = false;  // a choice has ended
};

}  // namespace germline::worker
