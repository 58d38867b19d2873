// archive: a run's generations by what was measured of them. Main thread only.
#pragma once

#include <optional>
#include <string>

#include "cli/session.hpp"

namespace germline::cli {

struct archive_options {
  std::string target;  // run or lineage; empty: the newest run
  std::optional<std::int64_t> count;
  std::string format = "jsonl";
};
/// The best first; failed where no generation has a score.
exit_code run_archive_top(const session& with, const archive_options& options);
exit_code run_archive_export(const session& with, const archive_options& options);

}  // namespace germline::cli
