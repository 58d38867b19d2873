// base64: bytes in JSON, by OpenSSL. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline::worker {

/// With padding, on one line.
std::string to_base64(std::string_view bytes);
/// data_loss for what to_base64() never writes.
result<std::string> from_base64(std::string_view text);

/// Whether `text` can stand in JSON as it is.
bool is_utf8(std::string_view text);

}  // namespace germline::worker
