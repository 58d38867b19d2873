// replay: answers requests by what a transcript, or a folder of them, says that such requests were
// answered (docs/gateway.md). Decides only; replay_upstream brings it to the sessions.
// Each attempt has its own place. One thread at a time; reads files: to open it takes a while, an
// answer few reads, and nothing that was unpacked is kept behind it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/result.hpp"
#include "worker/gateway/transcript_reader.hpp"

namespace germline::worker {

enum class replay_mode {
  strict,   // the nth request must be the nth that was recorded
  lenient,  // the most alike of those that were not answered yet will do
};

/// What is asked, with secrets taken out as they are in a transcript.
struct replay_question {
  std::string_view attempt_id;
  std::string_view path;
  std::string_view request;
};

/// Why there is no answer, for who wrote the agent.
struct replay_refusal {
  std::string message;
  std::string difference;  // the part of it that is about the request
};

class replay {
 public:
  static constexpr std::size_t max_recordings = 1'000;
  /// So many recorded requests, the first that fit, are looked at for the one that is most alike.
  static constexpr std::size_t max_compared = 64;

  /// `place`: a transcript, as it was written or exported, or a folder with files *.jsonl of them.
  /// Of a folder what cannot be read is left out and logged. not_found: nothing in it was asked.
  static result<replay> open(const std::string& place, replay_mode mode);

  std::variant<recorded_exchange, replay_refusal> answer(const replay_question& asked);
  /// The attempt is over.
  void forget(std::string_view attempt_id);

 private:
  /// What may stand in for each other, leniently: the path, and the number of messages.
  using likes = std::pair<std::string, std::size_t>;
  /// Of a recorded request what tells whether it is worth reading. In strict mode only the first of
  /// a recording has it: no other is searched for.
  struct entry {
    std::size_t at = 0;  // in the file
    likes like;
    std::size_t bytes = 0;
    std::string sha256;
    std::string own_words;  // the digest of what is compared, where it was translated
  };
  struct recording {
    std::string name;  // of the file
    transcript_reader file;
    std::vector<entry> asked;  // its entries that went upstream, in the order of their beginnings
    std::map<likes, std::vector<std::size_t>> by_likes;  // places in `asked`; lenient
    bool taken = false;  // by an attempt, where it is one of several
  };
  struct place {
    std::size_t recording = 0;
    std::size_t next = 0;     // strict
    std::vector<bool> given;  // lenient
    std::string ended;        // not empty: why nothing more is answered
  };

  static result<std::optional<recording>> read(const std::string& path, replay_mode mode);
  static result<entry> index(const transcript_reader& file, std::size_t at);
  result<std::size_t> choose(const replay_question& asked) const;
  std::optional<std::size_t> begins_so(const replay_question& asked) const;
  std::optional<std::size_t> begins_alike(const replay_question& asked) const;
  std::string nearest(const replay_question& asked) const;
  result<recorded_exchange> answer_strictly(place& at, const replay_question& asked) const;
  result<recorded_exchange> answer_leniently(place& at, const replay_question& asked) const;

  replay_mode mode_ = replay_mode::strict;
  bool is_folder_ = false;
  std::string place_;
  std::vector<recording> recordings_;
  std::map<std::string, place, std::less<>> places_;  // by attempt
};

}  // namespace germline::worker
