// transcripts_place: whether a gateway of `germline up`, which runs under an account of its own,
// can write its transcripts where its configuration says. Asked before anything starts, since else
// each attempt would be refused later. Needs root. Main thread only, before there are others.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/result.hpp"

namespace germline::cli {

/// Whether the account can make files in the folder, or the folder itself where only that is
/// missing. `is_shared`: gateways of other accounts write there, too. failed_precondition names the
/// folder, the account, and what would mend it.
result<void> check_transcripts_place(const std::string& folder, uid_t owner, gid_t group,
                                     bool is_shared = false);

/// The same of the folder that a gateway's configuration names, if it names one. A configuration
/// that cannot be read is the worker's to tell of.
result<void> check_transcripts_of(const std::string& gateway_config, uid_t owner, gid_t group,
                                  bool is_shared = false);

}  // namespace germline::cli
