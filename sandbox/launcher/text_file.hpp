// text_file: reads and writes the kernel's small files (/proc, cgroups) in one go. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline {

/// At most 4 MiB.
result<std::string> read_text_file(const std::string& path);
/// One write(2) to a file that exists. The error names the path.
result<void> write_text_file(const std::string& path, std::string_view text);
/// The number behind `key` in lines of "key number"; 0 where it is missing.
long long keyed_number(std::string_view text, std::string_view key);

}  // namespace germline
