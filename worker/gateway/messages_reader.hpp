// messages_reader: the usage in an answer of Anthropic Messages: in a stream's message_start and
// message_delta, or in the one body. Cached tokens are counted beside input_tokens.
// One per answer, one thread at a time.
#pragma once

#include "worker/gateway/answer_reader.hpp"

namespace germline::worker {

class messages_reader final : public answer_reader {
 public:
  explicit messages_reader(bool event_stream) : answer_reader(event_stream) {}

 private:
  bool take_data(std::string_view data) override;
  void take_body(const nlohmann::json& body) override;
  /// Members that are not there keep what was told before. False: no sane usage.
  bool read_usage(const nlohmann::json& usage);

  bool started_ = false;
  // An usage without them is none: by the last one that was read, and by any.
  bool output_told_ = false;
  bool input_told_ = false;
};

}  // namespace germline::worker
