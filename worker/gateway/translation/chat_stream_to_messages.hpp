// chat_stream_to_messages: a stream of OpenAI Chat Completions as one of Anthropic Messages. There
// content comes in blocks, one after the other; here the pieces of parallel tool calls may come
// mixed. So one block is open at a time and grows as its pieces come; what belongs behind it waits
// until it is known to be whole.
// One per answer, one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "worker/gateway/translation/stream_translator.hpp"

namespace germline::worker::translation {

class chat_stream_to_messages final : public stream_translator {
 public:
  explicit chat_stream_to_messages(answer_traits traits);

 private:
  enum class kind { thinking, text, tool };
  struct block {
    kind is = kind::text;
    std::int64_t call = -1;  // of a tool: the upstream's number for it
    std::string id;
    std::string name;
    std::string whole;   // of a tool: all its arguments so far
    std::string unsent;  // what the client has not got
    bool begun = false;
  };

  void take(std::string_view data, const token_counts& used) override;
  void take_end(const token_counts& used) override;
  std::size_t waiting_bytes() const override { return waiting_bytes_; }

  void begin(const nlohmann::json& chunk);
  void take_delta(const nlohmann::json& delta);
  void take_call(const nlohmann::json& call);
  void add(kind is, const std::string& text);
  block& add_block(kind is);
  block* find_call(std::int64_t call);
  /// Tells the client what it may know; `all`: nothing more comes.
  void tell(bool all);
  void tell_begin(block& one);
  void tell_piece(block& one);
  void put_event(const nlohmann::json& event);

  static constexpr std::size_t max_blocks = 1000;  // that wait, and calls in all

  const answer_traits traits_;
  std::string id_;
  bool begun_ = false;
  std::deque<block> blocks_;  // the first is open, or will be; the others wait
  std::int64_t calls_ = 0;    // that began
  std::int64_t index_ = 0;    // of the first block
  std::size_t waiting_bytes_ = 0;
  bool first_is_whole_ = false;
  std::string finish_reason_;
};

}  // namespace germline::worker::translation
