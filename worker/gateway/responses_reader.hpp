// responses_reader: the usage in an answer of OpenAI Responses: in the stream's last event
// (response.completed, response.incomplete, response.failed), or in the one body. Cached and
// reasoning tokens are counted within input_tokens and output_tokens.
// One per answer, one thread at a time.
#pragma once

#include "worker/gateway/answer_reader.hpp"

namespace germline::worker {

class responses_reader final : public answer_reader {
 public:
  explicit responses_reader(bool event_stream)
      : answer_reader(event_stream, {.max_line_bytes = max_event_bytes}) {}

 private:
  // The last event repeats the whole answer.
  static constexpr std::size_t max_event_bytes = 16 << 20;

  bool take_data(std::string_view data) override;
  void take_body(const nlohmann::json& body) override;
};

}  // namespace germline::worker
