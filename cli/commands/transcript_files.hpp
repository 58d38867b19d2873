// transcript_files: where the transcripts of this machine's gateways are. Main thread only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/session.hpp"
#include "common/result.hpp"

namespace germline::cli {

struct transcript_file {
  std::string attempt_id;
  std::string path;
  std::int64_t bytes = 0;
  std::int64_t written_utc_ms = 0;  // last
};

/// All in these folders, or where none is named in those that `up` has in its state folder; by
/// attempt, which is by age. An error where a folder cannot be read, or there is none.
result<std::vector<transcript_file>> find_transcripts(const session& with,
                                                      const std::vector<std::string>& folders);

/// The one that `name` names: an attempt's id, a unique beginning of it, or a file.
result<transcript_file> find_transcript(const session& with,
                                        const std::vector<std::string>& folders,
                                        const std::string& name);

/// Whether it has the name that a gateway gives: `att_…`. What was exported, or is something else,
/// is its owner's.
bool is_gateways(const transcript_file& file);

/// Removes the file unless a gateway writes to it (flock), or it was written to at or after
/// `before_utc_ms`; says whether it is gone. `only_looks`: whether it would be.
result<bool> remove_unused(const transcript_file& file, std::int64_t before_utc_ms,
                           bool only_looks);

}  // namespace germline::cli
