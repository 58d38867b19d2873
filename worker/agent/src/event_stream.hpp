// Puts a streamed Messages API answer (server-sent events) together into the message that the same
// request would have given unstreamed. Pure.
#pragma once

#include <string_view>

#include "json.hpp"

namespace agent {

/// The whole message. An error event, or a stream that ends before its message does, is an error.
/// A tool call whose input was cut off has the member "input_cut_off": true, and an empty input.
result<json> assemble_message(std::string_view stream);

}  // namespace agent
