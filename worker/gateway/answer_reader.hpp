// answer_reader: finds what a request used in the upstream's own answer, as it streams by: in
// server-sent events or in one JSON body. Each dialect derives its own. It changes nothing, but for
// events that a dialect drops because the client did not ask for them. Keeps at most one line, one
// event where some are dropped, or the body.
// One per answer, one thread at a time.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "worker/gateway/budget.hpp"

namespace germline::worker {

class answer_reader {
 public:
  virtual ~answer_reader() = default;
  answer_reader(const answer_reader&) = delete;
  answer_reader& operator=(const answer_reader&) = delete;

  /// Takes what arrived; afterwards `bytes` is what the client may see now, maybe nothing.
  void feed(std::string& bytes);
  /// Nothing more comes: a stream's last line counts, also without its newline.
  void end();
  /// What is still held back then.
  std::string rest();
  /// Whether the client may now take the stream for ended, and what it used is told. Should more
  /// come nevertheless, finish() tells it.
  bool settles() const { return closed_ && counted_ && !broken_; }
  /// Whether an event said that the stream is whole.
  bool ended() const { return ended_; }
  /// What it told so far, of which the last may be the final counts.
  token_counts told() const { return broken_ ? token_counts() : counts_; }
  /// The final counts, after the last feed(). None: the answer was cut, or does not tell them; then
  /// the bound is what may be charged.
  std::optional<token_counts> finish();

 protected:
  struct limits {
    std::size_t max_line_bytes = 1 << 20;  // a longer line is content, which is not looked at
    bool drops_events = false;
  };
  explicit answer_reader(bool event_stream) : answer_reader(event_stream, limits{}) {}
  answer_reader(bool event_stream, limits most) : event_stream_(event_stream), limits_(most) {}

  /// What stood behind "data:" in a line. True: the event is not for the client.
  virtual bool take_data(std::string_view data) = 0;
  /// A whole body, an object, maybe with its `usage` alone. Adopts the counts if it tells the
  /// usage.
  virtual void take_body(const nlohmann::json& body) = 0;

  /// `text` as nlohmann reads it, of keys that are there twice the last one, but for its lists,
  /// which are null, and, where `only` is not empty, but for the root's other members. Discarded
  /// where it is no JSON.
  static nlohmann::json without_lists(std::string_view text, std::string_view only = {});
  /// Null where `object` has none. Not json::value(), which copies: an upstream may nest deeper
  /// than the stack reaches.
  static const nlohmann::json& member(const nlohmann::json& object, const char* key);
  /// Overwrites `into` where `usage` has the key; false if its value is no sane count.
  static bool read_count(const nlohmann::json& usage, const char* key, std::int64_t& into);

  /// Takes `read` for the counts, but for what is less than was told before: in all of the input,
  /// cached or not, or of the output.
  void adopt(const token_counts& read);

  token_counts counts_;
  bool counted_ = false;  // finish() may tell the counts
  bool ended_ = false;
  bool closed_ = false;  // the last event was there
  bool broken_ = false;  // for good: a count that cannot be

 private:
  void take_lines(std::string_view bytes, std::string* shown);
  bool take_line(std::string_view line);

  const bool event_stream_;
  const limits limits_;
  std::string pending_;  // a line that has not ended, or the body
  bool line_too_long_ = false;
  std::string event_;            // held back until it is known whether it is dropped
  bool drop_event_ = false;      // the present one
  bool event_too_long_ = false;  // the present one is passed on as it comes
};

}  // namespace germline::worker
