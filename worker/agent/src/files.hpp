// Whole files as byte strings, written atomically. No text conversion of any kind.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "result.hpp"

namespace agent {

/// Refuses what is not a regular file, and files above 16 MiB.
result<std::string> read_file(const std::filesystem::path& path);

/// Replaces or makes the file by rename, keeping the mode of one that was there and following a
/// symbolic link to its target; makes missing folders.
result<bool> write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace agent
