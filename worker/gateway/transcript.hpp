// transcript: what one attempt's requests and answers were, as JSON Lines in a file of the trusted
// side (docs/gateway.md). Secrets are taken out, and what came before in the file is not written
// again (transcript_pieces.hpp). The file is bounded: past its bound one line {"cut": true} is
// written and then nothing more. What cost nothing cannot bring that about: it has a share of the
// file, past which it is left out.
// One thread at a time (transcript_writer's); appends to a local file, and may block.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/gateway/budget.hpp"
#include "worker/gateway/transcript_pieces.hpp"

namespace germline::worker {

struct transcript_entry {
  std::int64_t at_utc_ms = 0;
  std::int64_t serial = 0;  // in the order in which its attempt's requests began; 0: none
  std::int64_t duration_ms = 0;
  std::string path;
  std::string_view upstream;    // that was asked last; empty: none. Outlives the entry
  std::string_view translated;  // the dialect that was spoken upstream, if another than the path's
  std::shared_ptr<const std::string> request;  // null: none, or what keep_request() took
  std::uint64_t kept_request = 0;              // by its id; 0: none was kept
  unsigned status = 0;                         // what the sandbox was answered; 0: nothing
  std::string response;
  bool request_cut = false;
  bool response_cut = false;  // only its beginning was kept
  bool stream = false;        // the response is server-sent events
  std::string_view outcome;   // settled, charged_by_bound, not_billed, refused
  token_counts tokens;
  std::int64_t cost_nanousd = 0;    // of all tries
  std::int64_t tries = 1;           // at upstreams
  std::int64_t tries_by_bound = 0;  // of these, charged so

  bool is_refused() const { return outcome == "refused"; }
  bool is_free() const { return cost_nanousd == 0 && tokens == token_counts(); }
  /// Of a refused request no more is kept; at most so much is held in memory of it.
  static constexpr std::size_t max_refused_bytes = 4096;
  void shorten_refused();
  /// In memory.
  std::size_t bytes() const {
    return path.size() + (request ? request->size() : 0) + response.size();
  }
};

/// `text` with every one of `secrets`, and whatever looks like a provider's key, replaced.
std::string redacted(std::string_view text, const std::vector<std::string>& secrets);
/// The same for a text that was cut off: nor has it a secret's beginning at its end.
std::string redacted_beginning(std::string_view text, const std::vector<std::string>& secrets);

class transcript {
 public:
  /// Makes `directory`/`attempt_id`.jsonl, mode 0600, and locks it (flock): there is one writer.
  /// One that is there is gone on with, but for a last line that has no end, which is removed. An
  /// empty `directory`: writes nothing.
  static result<transcript> open(const std::string& directory, const std::string& attempt_id,
                                 std::int64_t max_bytes, std::vector<std::string> secrets);

  bool writes() const { return static_cast<bool>(file_); }
  /// Stores the request of an entry that is appended later, with that `id`. It is one that is
  /// charged.
  result<void> keep_request(std::uint64_t id, std::string_view text);
  /// Of an entry that will not be appended.
  void drop_request(std::uint64_t id) { take_kept(id); }
  result<void> append(transcript_entry entry);
  /// Says in the file that `entries` could not be taken down.
  result<void> append_lost(std::int64_t entries);
  /// Nothing more is written, and the lock is gone.
  void close() { file_.reset(); }

 private:
  /// What may use up how much of the file; each may use what those before it may.
  enum class kind { refused, free, charged };

  static kind kind_of(bool is_refused, bool is_free) {
    return is_refused ? kind::refused : is_free ? kind::free : kind::charged;
  }
  result<void> go_on(const std::string& path);
  bool leaves_out(kind of) const;
  std::optional<std::string> take_kept(std::uint64_t id);
  nlohmann::json request_of(transcript_entry& entry, std::optional<std::string> kept,
                            piece_share share);

  /// False: it was left out.
  result<bool> write_bounded(const std::string& lines, kind of);
  result<void> leave_out(std::size_t share);
  result<void> write_lines(std::string_view lines);

  unique_fd file_;
  std::int64_t left_bytes_ = 0;
  std::array<std::int64_t, 2> share_left_bytes_{};  // of refused, and of it with free
  std::array<bool, 2> left_out_{};
  bool cut_ = false;
  bool torn_ = false;  // the last line may have no end
  std::vector<std::string> secrets_;
  piece_table pieces_;
  std::map<std::uint64_t, std::string> kept_;  // of requests: in which pieces they are
  std::size_t kept_bytes_ = 0;
};

}  // namespace germline::worker
