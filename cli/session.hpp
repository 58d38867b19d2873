// session: what every command is given: the settings, how to write, and where. It owns nothing.
// Main thread only.
#pragma once

#include <cerrno>
#include <iostream>
#include <string>

#include "cli/exit_code.hpp"
#include "cli/render/failure.hpp"
#include "cli/render/style.hpp"
#include "common/clock.hpp"
#include "common/config/config.hpp"

namespace germline::cli {

struct session {
  config settings;
  bool json = false;
  style how;     // of standard output
  style errors;  // of standard error
  const clock* time = nullptr;
  mutable int output_errno = 0;  // 0: all data was written

  const std::string& coordinator() const { return settings.get("coordinator"); }

  /// Data goes to standard output, and is seen at once also in a pipe. The first failure is kept in
  /// `output_errno`: later calls, of whatever, leave another errno.
  void data(std::string_view text) const {
    if (!std::cout) return;
    errno = 0;
    std::cout << text << std::flush;
    if (!std::cout) output_errno = errno != 0 ? errno : EIO;
  }
  /// Messages go to standard error.
  void message(std::string_view text) const {
    std::cerr << indented(errors, text, 0) << std::flush;
  }
  /// Says what went wrong and returns the fitting exit code.
  exit_code fail(const error& failure) const {
    if (json) data(failure_json(failure));
    return tell(failure);
  }
  /// The same, but only to people.
  exit_code tell(const error& failure) const {
    message("germline: " + failure.message());
    return exit_code_of(failure.code());
  }
};

}  // namespace germline::cli
