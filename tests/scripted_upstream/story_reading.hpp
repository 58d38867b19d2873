// story_reading: a story's lanes out of its file's text. What nobody reads, or could not be told,
// is refused here, with its place and what would be right; a lane that was read can be told. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "tests/scripted_upstream/story.hpp"

namespace germline::scripted {

/// A story of `steps` has one lane, called "main".
result<std::vector<story_lane>> read_lanes(std::string_view json_text);

}  // namespace germline::scripted
