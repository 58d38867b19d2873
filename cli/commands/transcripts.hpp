// transcripts: what agents and models said to each other, as gateways on this machine recorded it
// (docs/gateway.md). Reads files, and for `logs --llm` asks the coordinator which attempts are
// meant. Main thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"

namespace germline::cli {

struct transcript_options {
  std::vector<std::string> directories;  // none: those of `up`
  std::string attempt;                   // id, a unique beginning of it, or a file
  std::optional<std::int64_t> request;   // of show: that one alone, from 1
};

exit_code run_transcript_list(const session& with, const transcript_options& options);
exit_code run_transcript_show(const session& with, const transcript_options& options);
exit_code run_transcript_export(const session& with, const transcript_options& options);

struct prune_options {
  std::vector<std::string> directories;
  std::int64_t older_than_ms = 0;
  bool dry_run = false;
};
exit_code run_transcript_prune(const session& with, const prune_options& options);

/// Shows the transcripts of the target's attempts that lie on this machine, and says of the others
/// on which worker they do; not found where none lies here.
exit_code run_llm_logs(const session& with, const std::string& target,
                       const std::vector<std::string>& directories);

}  // namespace germline::cli
