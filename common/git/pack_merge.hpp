// pack_merge: one pack without deltas out of two, where the second stands on the first: a whole
// history out of the one before and what came since. Pure functions of their bytes.
#pragma once

#include <string_view>

#include "common/git/pack_writer.hpp"
#include "common/result.hpp"

namespace germline::git {

/// Writes all of `base` and what `more` has besides, each object once. Both are read under
/// history_limits. data_loss, with nothing written, when an object of `more` names one that is in
/// neither; so what is complete stays complete.
result<void> merge_packs(std::string_view base, std::string_view more, const pack_sink& into);

}  // namespace germline::git
