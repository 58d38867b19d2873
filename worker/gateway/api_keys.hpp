// api_keys: the providers' keys that a gateway is to have, taken out of this process's environment.
// Main thread only, before any other starts: it writes to the environment.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"
#include "worker/gateway/client.hpp"
#include "worker/gateway/config.hpp"

namespace germline::worker {

/// Of the variables that the configuration names. Where it has one upstream, and names none: of
/// ANTHROPIC_API_KEY. A variable that is not there is passed over; line breaks at a key's end are
/// dropped, and one that is no key is an error that names its variable.
result<std::vector<gateway_key>> take_api_keys(const gateway_config& config);
/// The same of a file. An empty path: of nothing, and ANTHROPIC_API_KEY is forgotten.
result<std::vector<gateway_key>> take_api_keys(const std::string& gateway_config_file);

}  // namespace germline::worker
