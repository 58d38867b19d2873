// gateway_files: whether a gateway of `germline up`, which runs under an account of its own, can
// read its configuration and its prices, and write its transcripts where that says. Asked before
// anything starts, since else the worker would end again and again, or each attempt be refused.
// Needs root. Main thread only, before there are others.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/result.hpp"

namespace germline::cli {

/// Whether the account can make files in the folder, or the folder itself where only that is
/// missing. `is_shared`: gateways of other accounts write there, too. failed_precondition names the
/// folder, the account, and what would mend it.
result<void> check_transcripts_place(const std::string& folder, uid_t owner, gid_t group,
                                     bool is_shared = false);

/// Whether the account can read the file. failed_precondition names both, and what would mend it.
result<void> check_readable(const std::string& file, uid_t owner, gid_t group);

/// All of that for a gateway's configuration, which must be right, as its price file must be.
/// Empty: there is none.
result<void> check_gateway_files(const std::string& gateway_config, uid_t owner, gid_t group,
                                 bool is_shared = false);

/// "the upstream 'main' has no key: OPENAI_API_KEY is not set", of each that names a variable which
/// is not in this process's environment. Of a configuration that passed check_gateway_files().
std::vector<std::string> missing_keys(const std::string& gateway_config);

}  // namespace germline::cli
