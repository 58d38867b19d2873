// handing_over: what root has prepared for the coordinator of `germline up`, which runs under an
// account of its own: an authority's folder becomes that account's, and credentials that were
// brought along are copied to where it can read them. Needs root. Main thread only.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/result.hpp"

namespace germline::cli {

/// Gives the folder of an authority that root has made to the account; what is not root's stays as
/// it is. An empty folder is given too. Links are not followed. invalid_argument: it has other
/// things in it, and no authority.
result<void> hand_over_authority(const std::string& folder, uid_t owner, gid_t group);

/// Whether the account gets as far as the folder. failed_precondition names what is in its way.
result<void> check_way_to(const std::string& folder, uid_t owner, gid_t group);

/// Copies a coordinator's credentials into the folder `to`, which exists; they are its owner's
/// alone. invalid_argument: they are somebody else's.
result<void> copy_credentials(const std::string& from, const std::string& to);

}  // namespace germline::cli
