// mirrors: how a machine's mirrors are named and written, "npm=https://mirror.example/npm": whom
// the commands of [deps] may fetch from. Not what may be fetched there: worker/mirror/routes.hpp.
// Pure functions; may be called from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline {

inline constexpr std::size_t mirrors_max = 16;  // of one machine

/// Whether a mirror can be called so: 1 to 32 of [a-z0-9-], beginning with a letter.
bool is_mirror_name(std::string_view name) noexcept;

struct mirror_url {
  std::string scheme;     // "https", or "http" for loopback alone
  std::string authority;  // "mirror.example:8443", in lower case
  std::string path;       // "/npm", without a slash at its end; empty: the root
  std::string text() const { return scheme + "://" + authority + path; }
};
/// Refuses all but https, and http on loopback; user names, queries, fragments and odd characters.
result<mirror_url> parse_mirror_url(std::string_view url);

struct named_mirror {
  std::string name;
  std::string url;  // as parse_mirror_url takes it
};
/// "npm=https://mirror.example, other=…"; an empty text has none. No name twice.
result<std::vector<named_mirror>> parse_mirrors(std::string_view comma_separated);

}  // namespace germline
