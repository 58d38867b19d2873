// attempts: which attempts something that people name has had, by the coordinator's record. Main
// thread only.
#pragma once

#include <string>
#include <vector>

#include "cli/session.hpp"
#include "common/result.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

/// `target`: a run, lineage, generation, iteration or attempt. Of a generation those of the
/// iteration that bore it, and of its evaluations that asked a model; of a run or lineage these,
/// too. The eldest first, iterations before evaluations.
result<std::vector<v1::AttemptInfo>> attempts_of(const session& with, const std::string& target);

}  // namespace germline::cli
