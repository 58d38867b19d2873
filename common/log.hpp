// Logging for the daemons: spdlog to standard error, one line an event, with UTC times. The product
// logs through these calls alone, so that what is written can be held to two rules: no secret, and
// no control character (text of a sandbox must not steer the reader's terminal).
// May be called from any thread.
#pragma once

#include <string>
#include <string_view>

#include <spdlog/fmt/fmt.h>

namespace germline {

enum class log_level { debug, info, warning, error };

/// Sets the process's name in each line and the lowest level that is written. Call once, at start.
void init_logging(std::string_view process, log_level lowest = log_level::info);

/// `text` with control characters and bytes that are no UTF-8 written as \xNN; tabs stay.
std::string printable(std::string_view text);

void log_line(log_level level, std::string_view text);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(log_level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(log_level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(log_level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace germline
