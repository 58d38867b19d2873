// comparison: in what two runs differ that were to do the same: their lineages' nth iterations by
// parent, ending and model, and what these bore by source and scores.
// Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "cli/render/style.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

/// One thing that is not the same. Texts are as they came: safe_line() is who prints them.
struct run_difference {
  std::string where;     // "iteration 3 of lineage 2"; "generation 0"
  std::string of, with;  // the ids of the two; `with` may be empty: it is not there
  std::string what;      // "parent", "ending", "model", "source", "scores", or "iteration"
  std::string was, is;
};

struct run_comparison {
  std::string of, with;  // the runs
  int iterations = 0;    // of `of`, that ended by themselves
  int same = 0;          // of these, which are the same in all
  int more = 0;          // iterations of `with` that `of` has not
  int later = 0;         // of `of`, that ended after `with`, its replay, was made; not compared
  int scores = 0;        // that were compared
  /// In the order in which the iterations of `of` ended: what is behind the first may follow from
  /// it.
  std::vector<run_difference> differences;

  bool is_same() const { return differences.empty() && more == 0; }
};

/// Both with their evaluations. Lineages are compared by their places in their runs. Of a run and a
/// replay of it the replay is the second, whichever came first here.
run_comparison compare(const v1::GetTreeReply& of, const v1::GetTreeReply& with);

std::string render_comparison(const run_comparison& found, const style& how);
/// With its line end.
std::string comparison_json(const run_comparison& found, bool one_line = false);

}  // namespace germline::cli
