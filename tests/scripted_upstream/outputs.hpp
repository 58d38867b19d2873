// outputs: whether the report and the bodies could be written where they shall go, asked before the
// provider begins. Reads the file system, and writes nothing.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline::scripted {

/// The file may be there or not; its folder must be.
result<void> check_report_file(const std::string& path);
/// The folder must be there.
result<void> check_bodies_directory(const std::string& path);

}  // namespace germline::scripted
