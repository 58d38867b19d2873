// disk: what is known of the disk that a folder is on, and of failures that are its own. Any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace germline {

/// What may still be written there; the largest number where nobody can tell.
std::int64_t free_bytes_on(const std::string& folder);

/// Whether the text of a failure names one of the disk: it is full, beyond a quota, read-only or
/// broken. For failures of libraries too, which tell the cause in their message alone.
bool names_disk_fault(std::string_view message);

}  // namespace germline
