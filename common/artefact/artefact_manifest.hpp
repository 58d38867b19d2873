// artefact_manifest: what a sealed artefact is: the list of its files with their hashes. Its id is
// the SHA-256 of its canonical JSON, so whoever holds the id can check every byte.
// Plain values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline::artefact {

struct limits {
  std::int64_t total_bytes = 512 << 20;
  std::int64_t file_bytes = 512 << 20;
  std::int64_t files = 10'000;
};

struct file {
  std::string path;  // clean and relative
  bool executable = false;
  std::string_view bytes;  // not owned
};

struct file_entry {
  std::string path;
  bool executable = false;
  std::int64_t size_bytes = 0;
  std::string sha256;
  bool operator==(const file_entry&) const = default;
};

struct manifest {
  std::vector<file_entry> files;  // in order of paths, no path twice, none beneath another
  bool operator==(const manifest&) const = default;
  std::int64_t total_bytes() const;
};

/// {"files":[{"mode":"0755","path":…,"sha256":…,"size":…}],"schema":1}, without white space.
std::string to_json(const manifest& sealed);
/// Reads a manifest of unknown origin under bounds. Its files must be as `manifest` says.
result<manifest> parse_manifest(std::string_view json, const limits& bounds);
/// 64 hex digits.
std::string artefact_id(const manifest& sealed);

/// Refuses paths that are not clean, twice there, or beneath another, and sizes beyond the bounds.
result<void> check_files(const std::vector<file>& files, const limits& bounds);
/// Checks and hashes the files.
result<manifest> seal(const std::vector<file>& files, const limits& bounds);

}  // namespace germline::artefact
