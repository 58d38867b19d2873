// The short of what a failed build or test printed, for people and for the memory: names, not logs.
// Pure.
#pragma once

#include <string>

namespace agent {

/// Of CTest's output the names of the tests that failed, the first few, on one line; of a
/// compiler's the first error. Empty if the output has neither.
std::string failure_summary(const std::string& output);

}  // namespace agent
