// replay: answers requests by what a transcript, or a folder of them, says that such requests were
// answered (docs/gateway.md). Decides only; replay_upstream brings it to the sessions.
// Each attempt has its own place. One thread at a time; reads files.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
};

class replay {
 public:
  static constexpr std::size_t max_recordings = 1'000;

  /// `place`: a transcript, as it was written or exported, or a folder with files *.jsonl of them.
  static result<replay> open(const std::string& place, replay_mode mode);

  std::variant<recorded_exchange, replay_refusal> answer(const replay_question& asked);
  /// The attempt is over.
  void forget(std::string_view attempt_id);

 private:
  struct recording {
    std::string name;  // of the file
    transcript_reader file;
    std::vector<std::size_t> asked;     // its entries that went upstream
    std::vector<std::size_t> messages;  // of each of these (count_messages); lenient
    bool taken = false;                 // by an attempt, where it is one of several
  };
  struct place {
    std::size_t recording = 0;
    std::size_t next = 0;     // strict
    std::vector<bool> given;  // lenient
    std::string ended;        // not empty: why nothing more is answered
  };

  static result<std::optional<recording>> read(const std::string& path, replay_mode mode);
  result<std::size_t> choose(const replay_question& asked) const;
  result<recorded_exchange> answer_strictly(place& at, const replay_question& asked) const;
  result<recorded_exchange> answer_leniently(place& at, const replay_question& asked) const;

  replay_mode mode_ = replay_mode::strict;
  bool is_folder_ = false;
  std::string place_;
  std::vector<recording> recordings_;
  std::map<std::string, place, std::less<>> places_;  // by attempt
};

}  // namespace germline::worker
