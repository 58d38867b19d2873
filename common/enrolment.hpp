// enrolment: the asking side of fleet.proto's Enrolment, for workers and people: a certificate for
// a join token, and a new one in time. Keys are made here and stay here. Blocks on the network,
// with bounds; any thread. REQUIRES that SIGPIPE is ignored.
#pragma once

#include <string>

#include "common/clock.hpp"
#include "common/pki/credentials.hpp"
#include "common/result.hpp"

namespace germline {

/// Dials `address` ("HOST:PORT", with or without "tls:"), believes who answers only where it shows
/// the authority that the token names, and asks for a certificate. invalid_argument: the token is
/// for another role than `who`, or is none; then nobody is dialled, and it is not used.
result<pki::credentials> enroll(const std::string& address, const std::string& token,
                                pki::role who);

/// What a look for a new certificate brought.
enum class renewal { nothing_due, renewed };

/// Renews the certificate in the folder where more than a third of its time has gone, or where the
/// coordinator's authority is not what the folder believes any more. Replaces the files in place;
/// the key stays. failed_precondition: that coordinator makes no certificates.
result<renewal> renew_credentials(const std::string& address, const std::string& folder,
                                  const clock& time);

}  // namespace germline
