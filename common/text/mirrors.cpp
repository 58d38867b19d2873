#include "common/text/mirrors.hpp"

#include <algorithm>

namespace germline {
namespace {

error bad(std::string_view url, const std::string& why) {
  return {error_code::invalid_argument, "'" + std::string(url.substr(0, 256)) + "' " + why +
                                            "; write https://HOST[:PORT][/PATH]"};
}

bool is_loopback(std::string_view authority) {
  const auto host = authority.substr(0, authority.rfind(':'));
  return host == "127.0.0.1" || host == "localhost" || host == "[::1]";
}

}  // namespace

bool is_mirror_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 32 && name.front() >= 'a' && name.front() <= 'z' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

result<mirror_url> parse_mirror_url(std::string_view url) {
  if (url.size() > 1'024) return bad(url, "is longer than 1,024 characters");
  const auto slashes = url.find("://");
  if (slashes == url.npos) return bad(url, "is no URL");
  mirror_url read;
  read.scheme = url.substr(0, slashes);
  const auto rest = url.substr(slashes + 3);
  const auto slash = std::min(rest.find('/'), rest.size());
  read.authority = rest.substr(0, slash);
  for (auto& c : read.authority) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  read.path = rest.substr(slash);
  while (read.path.ends_with('/')) read.path.pop_back();
  const bool plain_host = std::ranges::all_of(read.authority, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' ||
           c == '[' || c == ']';
  });
  const bool plain_path = std::ranges::all_of(read.path, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._~-+@").find(c) != std::string_view::npos;
  });
  if (read.authority.empty() || !plain_host) {
    return bad(url, "has no plain host (a user name or a key has no place in it)");
  }
  if (!plain_path) return bad(url, "has a query, a fragment, or a character that no path has here");
  if (("/" + read.path + "/").find("/../") != std::string::npos) return bad(url, "has '..'");
  if (read.scheme == "https") return read;
  if (read.scheme == "http" && is_loopback(read.authority)) return read;
  return bad(url,
             read.scheme == "http" ? "is http://, which is for loopback only" : "is not https");
}

result<std::vector<named_mirror>> parse_mirrors(std::string_view comma_separated) {
  std::vector<named_mirror> all;
  while (!comma_separated.empty()) {
    auto one = comma_separated.substr(0, comma_separated.find(','));
    comma_separated.remove_prefix(std::min(one.size() + 1, comma_separated.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty()) continue;
    const auto sign = one.find('=');
    if (sign == one.npos || !is_mirror_name(one.substr(0, sign))) {
      return error(error_code::invalid_argument,
                   "'" + std::string(one.substr(0, 128)) +
                       "' is no mirror; write NAME=URL, the name of 1 to 32 of a-z, 0-9 and '-'");
    }
    named_mirror read{std::string(one.substr(0, sign)), std::string(one.substr(sign + 1))};
    GERMLINE_TRY(parse_mirror_url(read.url));
    if (std::ranges::any_of(all, [&](const auto& other) { return other.name == read.name; })) {
      return error(error_code::invalid_argument, "the mirror '" + read.name + "' is there twice");
    }
    all.push_back(std::move(read));
  }
  if (all.size() > mirrors_max) {
    return error(error_code::invalid_argument, "more than 16 mirrors are named");
  }
  return all;
}

}  // namespace germline
