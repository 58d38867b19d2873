// durable_file: writes a file so that after a crash it is there whole or not at all. Any thread;
// blocks on the disk.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline {

/// Writes `path` aside as `path.part`, syncs it, and moves it into place.
result<void> write_durably(const std::string& path, std::string_view bytes);

}  // namespace germline
