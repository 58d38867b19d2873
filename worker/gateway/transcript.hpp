// transcript: what one attempt's requests and answers were, as JSON Lines in a file of the trusted
// side (docs/gateway.md). Secrets are taken out, the file is bounded: past its bound one line
// {"cut": true} is written and then nothing more.
// One thread at a time; appends to a local file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/gateway/budget.hpp"

namespace germline::worker {

struct transcript_entry {
  std::int64_t at_utc_ms = 0;
  std::int64_t duration_ms = 0;
  std::string_view path;
  std::string_view request;
  unsigned status = 0;  // what the sandbox was answered; 0: nothing
  std::string_view response;
  bool response_cut = false;  // only its beginning was kept
  std::string_view outcome;   // settled, charged_by_bound, not_billed, refused
  token_counts tokens;
  std::int64_t cost_nanousd = 0;
};

/// `text` with every one of `secrets`, and whatever looks like a provider's key, replaced.
std::string redacted(std::string_view text, const std::vector<std::string>& secrets);

class transcript {
 public:
  /// Makes `directory`/`attempt_id`.jsonl, mode 0600. An empty `directory`: writes nothing.
  static result<transcript> open(const std::string& directory, const std::string& attempt_id,
                                 std::int64_t max_bytes, std::vector<std::string> secrets);

  result<void> append(const transcript_entry& entry);

 private:
  result<void> write_line(std::string_view line);

  unique_fd file_;
  std::int64_t left_bytes_ = 0;
  bool cut_ = false;
  std::vector<std::string> secrets_;
};

}  // namespace germline::worker
