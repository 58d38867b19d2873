// layer: a folder as a command left it in a sandbox, on its way out: read from a tar stream of
// unknown origin (through libarchive) and written beneath a new directory. Takes regular files,
// folders, and symbolic links that are relative and stay inside; no hard link, device, FIFO or
// sparse hole, no setuid bit, no path that is not clean, none twice, and nothing beneath a link.
// Unlike a sealed artefact it may have links, is large, and is never sent anywhere.
// Functions; they block on the disk. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline::artefact {

struct layer_limits {
  std::int64_t total_bytes = std::int64_t{2} << 30;  // of files
  std::int64_t entries = 100'000;                    // files, folders and links
};

enum class layer_kind { file, folder, link };

struct layer_entry {
  layer_kind kind = layer_kind::file;
  std::string path;         // clean and relative
  bool executable = false;  // of a file
  std::string_view bytes;   // of a file; not owned
  std::string target;       // of a link
};

/// Whether a link at `path` with that target stays inside, wherever other links lead: no absolute
/// target, no more `..` than there are folders above the link, and none behind a name.
result<void> check_link(std::string_view path, std::string_view target);

/// In order of paths; their bytes lie in `tar` and hold as long as that.
result<std::vector<layer_entry>> read_layer(std::string_view tar, const layer_limits& bounds);

/// Writes them beneath `root`, an empty folder that nobody else writes: files 0444 or 0555,
/// folders 0755. Does not sync. Error resource_exhausted: the disk is full.
result<void> write_layer(const std::string& root, const std::vector<layer_entry>& entries);

struct layer_digest {
  std::string sha256;  // over all paths, kinds, contents, modes and targets
  std::int64_t bytes = 0;
  std::int64_t entries = 0;
};
/// Of what lies beneath `root`. data_loss: it has what no layer has.
result<layer_digest> digest_layer(const std::string& root);
/// Changes whenever anything beneath `root` was written, renamed, or given other rights; costs a
/// look at each entry and reads no file.
result<std::string> fingerprint_layer(const std::string& root);

}  // namespace germline::artefact
