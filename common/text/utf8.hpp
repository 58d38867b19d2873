// utf8: what of a text is valid UTF-8 (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF).
// Protobuf refuses to read a string that is not, so what a sandbox wrote passes here first. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace germline {

/// The length of the UTF-8 sequence at `text[at]`, or 0 when there is none. `at` < text.size().
std::size_t utf8_length(std::string_view text, std::size_t at);

/// `text` with bytes that are no UTF-8 written as \xNN, cut after a whole character so that at most
/// `bytes_max` bytes come out.
std::string valid_utf8(std::string_view text, std::size_t bytes_max = std::string_view::npos);

}  // namespace germline
