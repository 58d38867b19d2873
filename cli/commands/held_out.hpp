// held_out: reads what `germline run --held-out FOLDER` names. Blocks on the disk.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline::cli {

/// A tar with all files of the folder, which are plain ones, at most 16 MiB and 1,000 in all.
/// Errors name the file that is something else, and what would be right. Empty folders are left
/// out. A file whose bytes are an object of `seed_pack`, which agents get, is refused, unless it is
/// so short that this says nothing.
result<std::string> read_held_out(const std::string& folder, std::string_view seed_pack);

}  // namespace germline::cli
