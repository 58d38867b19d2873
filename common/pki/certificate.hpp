// certificate: who a certificate speaks of, and how one is signed. Roles are written as a SPIFFE id
// (https://github.com/spiffe/spiffe, SPIFFE-ID) in the subject alternative name,
// spiffe://germline/worker/NAME or spiffe://germline/person/NAME, under any trust domain; a
// coordinator is who has the DNS name coordinator.germline, so that it may move between addresses.
// Not an authority: that is authority.hpp. Plain values; any thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/pki/private_key.hpp"
#include "common/result.hpp"

namespace germline::pki {

/// What all who dial a coordinator demand of its certificate.
inline constexpr std::string_view coordinator_host = "coordinator.germline";

enum class role { coordinator, worker, person };
std::string_view to_string(role who) noexcept;
/// invalid_argument: it is none of the three.
result<role> role_of(std::string_view text);

struct identity {
  role who = role::person;
  std::string name;  // see check_name
};

/// 1 to 64 letters, digits and any of "._-@", beginning with a letter or digit.
result<void> check_name(std::string_view name);

/// "spiffe://germline/worker/wrk_…". REQUIRES that it is no coordinator's.
std::string to_spiffe(const identity& whose);
/// The last two parts of the path; the trust domain is not looked at, since who signed it says
/// more.
result<identity> of_spiffe(std::string_view uri);

struct certificate_facts {
  identity whose;
  std::string serial;      // lower-case hex
  std::string issuer_key;  // authority key id, hex; empty: not said
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
};

/// Of the first certificate in `pem`. Errors say what is missing for it to be one of a fleet's.
result<certificate_facts> read_certificate(std::string_view pem);

/// The id of the first certificate's own key, hex, as `issuer_key` names it.
result<std::string> key_id_of(std::string_view pem);

/// Each certificate of a bundle by itself.
std::vector<std::string> split_bundle(const std::string& bundle);
/// The ids of the own keys of all certificates of a bundle.
result<std::set<std::string>> key_ids_of(const std::string& bundle);

/// SHA-256 of the first certificate's DER, hex.
result<std::string> fingerprint(std::string_view pem);

/// Whether the first certificate is of this key.
result<void> check_is_of(std::string_view certificate_pem, const private_key& key);

struct lifetime {
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
};

/// An authority's own, signed by itself. `name` tells authorities apart.
result<std::string> make_ca(const private_key& key, const std::string& name, lifetime when);

/// A certificate for the request's key, signed by the authority. `serial` is 32 hex digits.
/// invalid_argument: the request is none, is not signed with its key, or the key is weak.
result<std::string> sign(std::string_view request_pem, const identity& whose,
                         const std::string& serial, lifetime when, std::string_view ca_pem,
                         const private_key& ca_key);

/// Random, 32 hex digits; not by the seam, see private_key.
result<std::string> make_serial();

}  // namespace germline::pki
