// tar: reads artefacts from tar streams of unknown origin (through libarchive), and writes the one
// form that Germline itself sends. Reading takes regular files and folders only: no link, device,
// FIFO or sparse hole, no path that is not clean, none twice, and only what was asked for.
// Functions from bytes to values; nothing is copied.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/artefact/artefact_manifest.hpp"
#include "common/result.hpp"

namespace germline::artefact {

/// In order of paths; their bytes lie in `tar` and hold as long as that.
/// `wanted`: the manifest's artefact list; a file must be one of these paths or beneath one, and
/// each must have at least one file. Empty: anything goes.
result<std::vector<file>> read_tar(std::string_view tar, const std::vector<std::string>& wanted,
                                   const limits& bounds);

/// Takes the next bytes of a stream; an error ends it.
using byte_sink = std::function<result<void>(std::string_view)>;

/// Writes a ustar/pax stream, file by file, with modes 0644 and 0755 and no times or owners.
/// Movable; one thread.
class tar_writer {
 public:
  /// `into` gets pieces of at most 1 MiB.
  static result<tar_writer> open(byte_sink into);
  tar_writer(tar_writer&&) noexcept;
  tar_writer& operator=(tar_writer&&) noexcept;
  ~tar_writer();

  /// Files must come in order of paths. An error of the sink is returned as it is.
  result<void> add(const file& one);
  /// Ends the stream: nothing can be added.
  result<void> finish();

 private:
  struct impl;
  explicit tar_writer(std::unique_ptr<impl> opened);
  std::unique_ptr<impl> impl_;
};

/// All of them, and the end of the stream.
result<void> write_tar(const std::vector<file>& files, byte_sink into);

}  // namespace germline::artefact
