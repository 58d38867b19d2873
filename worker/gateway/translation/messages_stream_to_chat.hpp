// messages_stream_to_chat: a stream of Anthropic Messages as one of OpenAI Chat Completions, event
// by event.
// One per answer, one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "worker/gateway/translation/stream_translator.hpp"

namespace germline::worker::translation {

class messages_stream_to_chat final : public stream_translator {
 public:
  explicit messages_stream_to_chat(answer_traits traits);

 private:
  struct call {
    std::int64_t number = 0;
    std::string input;  // as told at its beginning, for a call of which no piece comes
    bool told = false;
  };

  void take(std::string_view data, const token_counts& used) override;
  void take_end(const token_counts& used) override;
  std::size_t waiting_bytes() const override { return waiting_bytes_; }

  void begin(const nlohmann::json& message);
  void begin_block(const nlohmann::json& event);
  void take_delta(const nlohmann::json& event);
  void end_block(std::int64_t index);
  void put_delta(nlohmann::json delta);
  void put_arguments(const call& of, const std::string& piece);
  nlohmann::json chunk() const;

  static constexpr std::size_t max_calls = 1000;

  const answer_traits traits_;
  std::string id_;
  std::string model_;
  bool begun_ = false;
  std::map<std::int64_t, call> open_;  // by the block's index
  std::int64_t calls_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::string stop_reason_;
};

}  // namespace germline::worker::translation
