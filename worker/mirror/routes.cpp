#include "worker/mirror/routes.hpp"

#include <algorithm>

namespace germline::worker {
namespace {

constexpr std::size_t target_bytes_max = 512;  // std::regex recurses with each
constexpr std::size_t expression_bytes_max = 512;

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("/@._~+!-").find(c) != std::string_view::npos;
}

/// What is wrong with a target before any list is asked; empty: nothing.
std::string why_not_plain(std::string_view target) {
  if (target.size() > target_bytes_max) return "a path has at most 512 characters here";
  if (!target.starts_with('/')) return "a path begins with '/'";
  if (target.find_first_of("?#") != target.npos) return "a path has no query here";
  std::string segment;
  for (std::size_t i = 1; i <= target.size(); ++i) {
    const bool ends = i == target.size() || target[i] == '/';
    if (!ends && target[i] == '%') {
      // An encoded slash, and no other letter: what is not encoded can be read.
      const auto code = target.substr(i, 3);
      if (code != "%2f" && code != "%2F") return "of encoded letters %2f alone is taken here";
      i += 2;
    } else if (!ends) {
      if (!is_plain(target[i])) return "a path has letters that none has here";
      segment += target[i];
      continue;
    }
    if (segment == "." || segment == "..") return "a path has no '.' and no '..' here";
    if (segment.empty() && i != target.size()) return "a path has no empty part here";
    segment.clear();
  }
  return "";
}

}  // namespace

result<mirror_routes> mirror_routes::make(std::vector<mirror_config> mirrors) {
  std::vector<served> all;
  for (auto& each : mirrors) {
    served one;
    GERMLINE_TRY_ASSIGN(const auto url, parse_mirror_url(each.url));
    one.base = url.path;
    for (const auto& expression : each.allow) {
      if (expression.size() > expression_bytes_max) {
        return error(error_code::invalid_argument,
                     "an expression of `allow` has more than 512 characters");
      }
      try {
        one.allow.emplace_back(expression, std::regex::ECMAScript | std::regex::optimize);
      } catch (const std::regex_error& failure) {
        return error(
            error_code::invalid_argument,
            "`allow` has '" + expression + "', which is no regular expression: " + failure.what());
      }
    }
    one.config = std::move(each);
    all.push_back(std::move(one));
  }
  return mirror_routes(std::move(all));
}

const mirror_routes::served* mirror_routes::find_served(std::string_view name) const {
  const auto found =
      std::ranges::find_if(all_, [&](const served& one) { return one.config.name == name; });
  return found == all_.end() ? nullptr : &*found;
}

const mirror_config* mirror_routes::mirror(std::string_view name) const {
  const auto* found = find_served(name);
  return found == nullptr ? nullptr : &found->config;
}

/// Takes the path of the mirror's own URL off, where it stands in front: a document or a lock file
/// that came from there has it.
bool mirror_routes::allows(const served& one, std::string& path) {
  if (!one.base.empty() && path.starts_with(one.base + "/")) path.erase(0, one.base.size());
  return std::ranges::any_of(one.allow, [&](const std::regex& allowed) {
    try {
      return std::regex_match(path, allowed);
    } catch (const std::regex_error&) {  // it takes too much: no
      return false;
    }
  });
}

std::variant<mirror_route, route_refusal> mirror_routes::find(
    std::string_view target, const std::vector<std::string>& open) const {
  if (auto why = why_not_plain(target); !why.empty()) return route_refusal{403, std::move(why)};
  const auto is_open = [&](std::string_view name) {
    return std::ranges::find(open, name) != open.end();
  };
  const auto slash = std::min(target.find('/', 1), target.size());
  const auto name = target.substr(1, slash - 1);
  const auto* named = is_open(name) ? find_served(name) : nullptr;
  if (named != nullptr) {
    std::string path(target.substr(slash));
    if (allows(*named, path)) return mirror_route{&named->config, std::move(path)};
  }
  const auto* npm = is_open("npm") ? find_served("npm") : nullptr;
  if (npm != nullptr) {
    std::string path(target);
    if (allows(*npm, path)) return mirror_route{&npm->config, std::move(path)};
  }
  if (named != nullptr) {
    return route_refusal{403, "the mirror '" + std::string(name) + "' is not asked for '" +
                                  std::string(target.substr(slash, 100)) +
                                  "': its list of paths has nothing like it"};
  }
  std::string names;
  for (const auto& each : open) names += " /" + each + "/";
  return route_refusal{404, "there is nothing at '" + std::string(target.substr(0, 100)) +
                                "'; mirrors are served beneath" + names};
}

}  // namespace germline::worker
