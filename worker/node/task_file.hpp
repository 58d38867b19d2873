// task_file: writes /germline/task.json of contract 1 from a lease. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "germline/v1/fleet.pb.h"

namespace germline::worker {

/// What the task says that is not in the lease itself.
struct task_extras {
  std::int64_t deadline_utc_ms = 0;
  std::int64_t wall_time_ms = 1;
  std::string context_path;
  std::string build_command;
  std::string test_command;
};

/// The name of its branch in the clone's `origin`; `place` is its place in the lease.
std::string inspiration_branch(int place);

/// The file's text. Strings that are not UTF-8 have their bad bytes replaced.
std::string make_task_json(const v1::Lease& lease, const task_extras& extras);

/// `run` of the manifest with every word that names an artefact path, or one beneath it, replaced
/// by its place under `root`: "python3 build/agent.py" → "python3
/// /germline/artefact/build/agent.py".
std::string place_run_command(const std::string& run, const std::vector<std::string>& artefact,
                              const std::string& root);

}  // namespace germline::worker
