// default_gateway: the gateway that `germline up` has where a key is given and no configuration of
// one: Anthropic's API, the shipped prices, transcripts in the state folder.
#pragma once

#include <string>

#include "common/config/config.hpp"
#include "common/result.hpp"

namespace germline::cli {

/// Writes the configuration, a copy of `price_file` and the folder for transcripts beneath
/// state_dir, where the account of this worker's gateway can read them. Returns the configuration's
/// path. Needs root.
result<std::string> write_default_gateway(const config& settings, const std::string& price_file,
                                          std::size_t worker);

}  // namespace germline::cli
