// tar: reads artefacts from tar streams of unknown origin (through libarchive), and writes the one
// form that Germline itself sends. Reading takes regular files and folders only: no link, device,
// FIFO or sparse hole, no path that is not clean, none twice, and only what was asked for.
// Pure functions from bytes to values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/artefact/artefact_manifest.hpp"
#include "common/result.hpp"

namespace germline::artefact {

/// `wanted`: the manifest's artefact list; a file must be one of these paths or beneath one, and
/// each must have at least one file. Empty: anything goes.
result<std::vector<file>> read_tar(std::string_view tar, const std::vector<std::string>& wanted,
                                   const limits& bounds);

/// A ustar/pax stream in order of paths with modes 0644 and 0755 and no times or owners.
result<std::string> write_tar(const std::vector<file>& files);

}  // namespace germline::artefact
