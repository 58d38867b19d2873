// tar_contents: where in a tar stream in memory the contents of libarchive's present entry lie. For
// the readers of this folder. Any thread.
#pragma once

#include <archive.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline::artefact {

/// In one piece, since the stream is not compressed. resource_exhausted where it is more than
/// `budget`.
result<std::string_view> find_contents(archive* reader, std::string_view tar,
                                       const std::string& path, std::int64_t size,
                                       std::int64_t budget);
/// The path as tar wrote it, without "./" in front and slashes at the end.
std::string normal_tar_path(const char* raw);
/// What the library says of its last failure. Of many it says nothing, and gives no text.
std::string said_by(archive* from);

}  // namespace germline::artefact
