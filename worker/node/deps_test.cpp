#include "worker/node/deps.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace germline;
using namespace germline::worker;

TEST_CASE("the key tells names, contents, the command, the mirrors and the base apart") {
  deps_request deps;
  deps.files = {"package.json", "package-lock.json"};
  deps.command = "npm ci";
  deps.mirrors = {"npm"};
  const auto key = deps_key(deps, {"{}", "{ }"}, "base");
  std::set<std::string> keys{key};
  keys.insert(deps_key(deps, {"{ }", "{}"}, "base"));
  keys.insert(deps_key(deps, {"{}", "{  }"}, "base"));
  keys.insert(deps_key(deps, {"{}", "{ }"}, "another base"));
  auto other = deps;
  other.command = "npm ci ";
  keys.insert(deps_key(other, {"{}", "{ }"}, "base"));
  other = deps;
  other.mirrors = {"npm", "wheels"};
  keys.insert(deps_key(other, {"{}", "{ }"}, "base"));
  other = deps;
  other.files = {"package.json", "package-lock.jso"};
  keys.insert(deps_key(other, {"{}", "n{ }"}, "base"));
  CHECK(keys.size() == 7);
  // Orders say nothing, and neither do bounds.
  other = deps;
  other.files = {"package-lock.json", "package.json"};
  other.disk_bytes = 1 << 30;
  other.wall_time_ms = 5;
  CHECK(deps_key(other, {"{ }", "{}"}, "base") == key);
}
