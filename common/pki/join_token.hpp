// join_token: what lets a machine or a person ask a coordinator for a certificate, for a short
// while. It says which authority to believe (so that the first dialling is safe too), for which
// role, until when, and whether more than once; and it is authenticated by HMAC-SHA256 (RFC 2104)
// with a key of the authority's. Nothing of it is kept but whether it was used.
// Its text is "glj1." and, in base64url, the bytes documented in join_token.cpp. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/pki/certificate.hpp"
#include "common/result.hpp"

namespace germline::pki {

struct join_token {
  std::string id;  // 16 hex digits
  role who = role::worker;
  std::string name;  // a person's; empty: the authority makes one
  bool reusable = false;
  std::int64_t expires_ms = 0;  // UTC, whole seconds
  std::string ca_fingerprint;   // 64 hex digits, of who signed the coordinator's certificate
};

/// A new id for a token; random, not by the seam.
result<std::string> make_token_id();

std::string write_token(const join_token& token, std::string_view key);

/// Whether it looks like a token at all.
bool is_token_text(std::string_view text);

/// What the token says, which nobody has authenticated: enough to know whom to dial.
result<join_token> read_token(std::string_view text);

/// permission_denied: it is not made with this key, or its time is over.
result<join_token> verify_token(std::string_view text, std::string_view key, std::int64_t now_ms);

}  // namespace germline::pki
