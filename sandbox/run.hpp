// run_captured: starts one process in a sandbox, feeds its stdin, drains its outputs and waits. It
// is how files go in and out (cat, tar, git through pipes): the trusted side never opens a path
// inside. Blocking, bounded in time and bytes; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/spool.hpp"
#include "sandbox/backend.hpp"

namespace germline {

struct capture_limits {
  std::size_t stdout_bytes_max = 1 << 20;
  std::size_t stderr_bytes_max = 256 * 1024;
  std::size_t report_bytes_max = 1 << 20;
  std::int64_t wall_ms = 60'000;
  bool merge_stderr = false;  // stderr goes where stdout goes
  bool want_report = false;   // descriptor 3 inside is a pipe, captured as `report`
  /// What comes on stdout goes there, up to stdout_bytes_max, and not into memory: `out` has no
  /// bytes then and says how many were not kept. Outlives the run.
  spool* stdout_to = nullptr;
};

/// What was kept of a stream: all of it, or its head and its tail with a cut between.
struct captured_bytes {
  std::string head;
  std::string tail;             // empty unless bytes_cut > 0
  std::uint64_t bytes_cut = 0;  // how many are missing between head and tail

  bool complete() const noexcept { return bytes_cut == 0; }
  /// head, "\n[... N bytes cut ...]\n", tail; or just the head where nothing was cut.
  std::string text() const;
};

struct captured_run {
  process_outcome outcome;
  captured_bytes out;
  captured_bytes err;
  captured_bytes report;
};

/// `spec` may come with a stdin (then there are no stdin_bytes) and a stdout, ends of pipes that
/// lead elsewhere: then that stream is the caller's, `out` is empty, and merge_stderr must not be
/// set. Its other descriptors must be none. An outcome of kind setup_error means that the program
/// never ran. Error `unavailable`: the sandbox was ended under it, which says nothing about the
/// program.
result<captured_run> run_captured(sandbox& where, process_spec spec, std::string_view stdin_bytes,
                                  const capture_limits& limits);

}  // namespace germline
