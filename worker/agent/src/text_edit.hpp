// Edits of a text as pure functions: exact, byte for byte, no line end changed that was not named.
#pragma once

#include <string>
#include <string_view>

#include "result.hpp"

namespace agent {

/// Every line of `text` ends with CRLF (and there is one).
bool uses_crlf(std::string_view text);

/// `text` with every lone LF as CRLF.
std::string with_crlf(std::string_view text);

/// Puts `fresh` in the place of `old`, which must occur exactly once. In a text of CRLF lines, a
/// two-line `old` written with LF is taken to mean CRLF, and `fresh` likewise.
result<std::string> replace_once(std::string_view text, std::string_view old,
                                 std::string_view fresh);

/// Puts `fresh` in as lines of its own behind line `after` (0: at the start).
result<std::string> insert_lines(std::string_view text, long long after, std::string_view fresh);

/// Lines first..last (from 1; last -1: to the end), each as "number<TAB>line".
result<std::string> numbered_lines(std::string_view text, long long first, long long last);

}  // namespace agent
