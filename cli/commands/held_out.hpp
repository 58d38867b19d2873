// held_out: reads what `germline run --held-out FOLDER` names. Blocks on the disk.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline::cli {

/// A tar with all files of the folder, which are plain ones, at most 16 MiB and 1,000 in all.
/// Errors name the file that is something else, and what would be right. Empty folders are left
/// out.
result<std::string> read_held_out(const std::string& folder);

}  // namespace germline::cli
