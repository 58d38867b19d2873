// stream_translator: one answer's server-sent events in one dialect, made into those of another as
// they come. Keeps at most the line that has not ended, and what of parallel tool calls must wait
// for its turn. A stream that cannot be read, or that tells of an error, ends with one error event
// of the client's dialect; what comes after it is left out.
// One per answer, one thread at a time. No I/O, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "worker/gateway/budget.hpp"
#include "worker/gateway/dialect.hpp"

namespace germline::worker::translation {

/// What an answer needs that is not in it.
struct answer_traits {
  std::string model;            // where the upstream does not name it
  std::string id;               // of this answer alone; used where the upstream gives none
  std::int64_t created_s = 0;   // UTC, for dialects that tell it
  bool shows_usage = false;     // of a stream: the client asked for it (Chat Completions)
  bool shows_thinking = false;  // the client asked for it, and never has to give it back (Messages)
};

class stream_translator {
 public:
  /// Of what is kept at a time; more is an answer that cannot be read.
  static constexpr std::size_t max_held_bytes = 8 << 20;

  virtual ~stream_translator() = default;
  stream_translator(const stream_translator&) = delete;
  stream_translator& operator=(const stream_translator&) = delete;

  /// What the client gets for `bytes`. `used` is what the upstream told with them and before.
  std::string feed(std::string_view bytes, const token_counts& used);
  /// After the last feed(): what is left to say of a stream that was whole.
  std::string finish(const token_counts& used);
  /// Ends the stream with an error, unless it has ended.
  std::string fail(std::string_view message);

  /// The client has got the end of it.
  bool ended() const { return ended_; }
  /// The client has got an error.
  bool failed() const { return failed_; }
  std::size_t held_bytes() const { return line_.size() + waiting_bytes(); }

 protected:
  explicit stream_translator(const dialect& client) : client_(client) {}

  /// What stood behind "data:". May throw as strict_body does, or as nlohmann does.
  virtual void take(std::string_view data, const token_counts& used) = 0;
  /// The upstream said all, maybe without its last event.
  virtual void take_end(const token_counts& used) = 0;
  virtual std::size_t waiting_bytes() const { return 0; }

  void put(std::string_view text) { out_ += text; }
  /// A line that clients leave out: it says that the stream is alive.
  void put_sign_of_life() { out_ += ": ping\n\n"; }
  void put_error(std::string_view message);
  void set_ended() { ended_ = true; }

 private:
  void take_line(const token_counts& used);
  template <class Step>
  void guarded(Step step);

  const dialect& client_;
  std::string line_;  // that has not ended
  std::string out_;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace germline::worker::translation
