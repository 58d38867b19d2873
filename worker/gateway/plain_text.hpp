// plain_text: what the gateway takes from files and the environment before it looks at what it
// says: a file's whole text, and whether a word is one. No error shows a secret. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline::worker {

/// The text of a file of at most 4 MiB. It is read by more than one process, so that a pipe or a
/// device is refused, and so is a folder. `what` is for the message: "the price file".
result<std::string> read_text_file(const std::string& path, const std::string& what);

/// errno_error, and where that is not allowed: to which account.
error access_error(const std::string& doing, int failed);

/// For a message that `path` is not there: that it is relative, if it is.
std::string relative_hint(const std::string& path);

bool has_control_character(std::string_view text);
/// A space before or behind it.
bool has_outer_space(std::string_view text);

/// A key or token is printable ASCII without spaces, at most 8 KiB of it, since it goes into a
/// header. `what` says which it is and where it stands: "the API key in the variable K". The
/// message never shows it.
result<void> check_secret(std::string_view secret, const std::string& what);

}  // namespace germline::worker
