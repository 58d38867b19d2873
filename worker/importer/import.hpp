// import: judges what came out of a sandbox and authors the commit that takes its place: a pure
// function from bytes to bytes. Objects, entry names, modes, links, ancestry, protected paths and
// the context are judged here; nothing is built or run. It touches no file.
// May be called from any thread, but is meant for a process of its own (main.cpp).
#pragma once

#include <string_view>

#include "common/result.hpp"
#include "worker/importer/job.hpp"

namespace germline::worker {

/// An error is the job's or the parent's fault. Whatever the candidate got wrong is in the verdict.
/// `parent_pack` holds at least the parent commit and its trees, and the context file's blob.
result<import_output> import_candidate(const import_job& job, std::string_view parent_pack,
                                       std::string_view candidate_pack);

}  // namespace germline::worker
