// mirror_routes: what a request's target stands for: a path of one of the mirrors, if it is on
// that one's list of allowed paths. Decides by the text alone and fetches nothing.
// Immutable; any thread.
#pragma once

#include <regex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "worker/mirror/config.hpp"

namespace germline::worker {

/// What is asked of which mirror.
struct mirror_route {
  const mirror_config* mirror = nullptr;  // of the routes, which outlive this
  std::string path;                       // beneath its URL; begins with '/'
};
/// Why nothing is.
struct route_refusal {
  unsigned status = 404;
  std::string message;
};

class mirror_routes {
 public:
  /// invalid_argument: an expression of `allow` cannot be read.
  static result<mirror_routes> make(std::vector<mirror_config> mirrors);

  /// "/NAME/path" is `path` of the mirror NAME, if that is one of `open`. What fits none so is a
  /// path of npm's, where `open` has it: some versions of npm drop the path of their registry.
  std::variant<mirror_route, route_refusal> find(std::string_view target,
                                                 const std::vector<std::string>& open) const;
  const mirror_config* mirror(std::string_view name) const;

 private:
  struct served {
    mirror_config config;
    std::string base;  // path of its URL
    std::vector<std::regex> allow;
  };
  explicit mirror_routes(std::vector<served> all) : all_(std::move(all)) {}
  const served* find_served(std::string_view name) const;
  static bool allows(const served& one, std::string& path);

  std::vector<served> all_;
};

}  // namespace germline::worker
