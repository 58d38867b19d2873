// archive: a run's generations by what was measured of them. Main thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"

namespace germline::cli {

struct archive_options {
  std::string target;  // run or lineage; empty: the newest run
  std::optional<std::int64_t> count;
  std::string format = "jsonl";
};
/// The best first; failed where no generation has a score.
exit_code run_archive_top(const session& with, const archive_options& options);

struct query_options {
  std::string target;                    // run or lineage; empty: the newest run
  std::vector<std::string> where, show;  // conditions, numbers
  std::string sort;                      // a number, the greatest first; empty: by birth
  bool reverse = false;                  // the least first, or the youngest
  std::optional<std::int64_t> count;
};
/// The generations that fulfil all conditions; failed where there are none.
exit_code run_archive_query(const session& with, const query_options& options);

struct pareto_options {
  std::string target;
  std::vector<std::string> great, small;  // numbers
};
/// The generations that no other betters in fitness and what is named.
exit_code run_archive_pareto(const session& with, const pareto_options& options);

struct grid_options {
  std::string target, x, y;
  std::optional<std::int64_t> bins;
};
exit_code run_archive_grid(const session& with, const grid_options& options);

exit_code run_archive_export(const session& with, const archive_options& options);

}  // namespace germline::cli
