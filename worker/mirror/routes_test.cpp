#include "worker/mirror/routes.hpp"

#include <doctest/doctest.h>

using namespace germline;
using namespace germline::worker;

namespace {

mirror_routes two() {
  auto made = mirror_routes::make(
      {{"npm", "https://mirror.example/proxy/npm", npm_paths(), {}, {}},
       {"wheels", "https://wheels.example", {"/simple/[a-z0-9-]+/", R"(/files/.+\.whl)"}, {}, {}}});
  REQUIRE(made);
  return std::move(*made);
}

/// "MIRROR PATH", or the status of the refusal.
std::string asked(const std::string& target,
                  const std::vector<std::string>& open = {"npm", "wheels"}) {
  static const auto routes = two();
  const auto found = routes.find(target, open);
  if (const auto* refusal = std::get_if<route_refusal>(&found)) {
    CHECK_FALSE(refusal->message.empty());
    return std::to_string(refusal->status);
  }
  const auto& route = std::get<mirror_route>(found);
  return route.mirror->name + " " + route.path;
}

}  // namespace

TEST_CASE("package documents and tarballs are asked of npm's mirror") {
  CHECK(asked("/npm/quince") == "npm /quince");
  CHECK(asked("/npm/@orchard/quince") == "npm /@orchard/quince");
  CHECK(asked("/npm/@orchard%2fquince") == "npm /@orchard%2fquince");
  CHECK(asked("/npm/@orchard%2Fquince") == "npm /@orchard%2Fquince");
  CHECK(asked("/npm/quince/-/quince-1.0.0.tgz") == "npm /quince/-/quince-1.0.0.tgz");
  CHECK(asked("/npm/@orchard/quince/-/quince-1.0.0-rc.1+x.tgz") ==
        "npm /@orchard/quince/-/quince-1.0.0-rc.1+x.tgz");
  CHECK(asked("/wheels/simple/quince/") == "wheels /simple/quince/");
}

TEST_CASE("paths that lost the mirror's name, or have its own path, are understood") {
  CHECK(asked("/quince/-/quince-1.0.0.tgz") == "npm /quince/-/quince-1.0.0.tgz");
  CHECK(asked("/npm/proxy/npm/quince/-/quince-1.0.0.tgz") == "npm /quince/-/quince-1.0.0.tgz");
  CHECK(asked("/proxy/npm/quince/-/quince-1.0.0.tgz") == "npm /quince/-/quince-1.0.0.tgz");
  CHECK(asked("/npm/-/npm-1.0.0.tgz") == "npm /npm/-/npm-1.0.0.tgz");  // a package of that name
  CHECK(asked("/quince", {"wheels"}) == "404");
}

TEST_CASE("all else is refused") {
  for (const auto* target : {"",
                             "quince",
                             "/npm/quince?x=1",
                             "/npm/quince#x",
                             "/npm/-/v1/search",
                             "/npm/-/npm/v1/security/advisories/bulk",
                             "/npm/-/user/token",
                             "/npm/quince/1.0.0",
                             "/npm/quince/-/quince-1.0.0.zip",
                             "/npm/../etc/passwd",
                             "/npm/..%2fetc",
                             "/npm/%2e%2e/etc",
                             "/npm/quince/-/../../x.tgz",
                             "/npm//quince",
                             "/npm/@orchard",
                             "/npm/.hidden",
                             "/npm/quince%00",
                             "/npm/quince%20x",
                             "/npm/qu ince",
                             "/npm/quince/-/",
                             "/wheels/",
                             "/wheels/other",
                             "/wheels/files/../x.whl"}) {
    const auto status = asked(target);
    CHECK_MESSAGE((status == "403" || status == "404"), target, " is ", status);
  }
  CHECK(asked("/npm/" + std::string(600, 'a')) == "403");
  CHECK(asked("/wheels/simple/quince/", {"npm"}) == "404");  // not named in [deps], no path of npm
}

TEST_CASE("mirrors come from flags and from a file, which says what may be asked for") {
  const auto npm = load_mirrors("npm=http://127.0.0.1:4873/", "");
  REQUIRE(npm);
  CHECK((*npm)[0].url == "http://127.0.0.1:4873");
  CHECK((*npm)[0].allow == npm_paths());
  const auto unknown = load_mirrors("wheels=https://wheels.example", "");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message().find("[mirror.wheels]") != std::string::npos);

  const auto read = parse_mirrors_config(R"(schema = 1
[mirror.wheels]
url = "https://wheels.example/"
allow = ["/files/.+"]
redirects = ["cdn.example:8443"]
ca_file = "/etc/ca.pem"
[mirror.npm]
url = "https://mirror.example"
)",
                                         "mirrors.toml");
  REQUIRE_MESSAGE(read, read.error().message());
  REQUIRE(read->size() == 2);
  const auto back = mirrors_from_json(to_json(*read));
  REQUIRE(back);
  CHECK(*back == *read);

  CHECK(check_ca_files({}));
  auto wheels = (*read)[1];
  wheels.ca_file = "/nowhere/ca.pem";
  const auto no_file = check_ca_files({wheels});
  REQUIRE_FALSE(no_file);
  CHECK(no_file.error().message() ==
        "`ca_file` of the mirror 'wheels', /nowhere/ca.pem, cannot be read, or is empty");

  const auto complaint = [](const std::string& more) {
    const auto bad = parse_mirrors_config("schema = 1\n" + more, "mirrors.toml");
    REQUIRE_FALSE_MESSAGE(bad, more);
    return bad.error().message();
  };
  CHECK(complaint("").find("mirror") != std::string::npos);
  CHECK(complaint("[mirror.wheels]\nurl = \"https://a.example\"\n").find("allow") !=
        std::string::npos);
  CHECK(complaint("[mirror.npm]\nurl = \"http://a.example\"\n").find("loopback") !=
        std::string::npos);
  CHECK(complaint("[mirror.npm]\nurl = \"https://a.example\"\nallow = [\"(\"]\n").find("regular") !=
        std::string::npos);
  CHECK(complaint("[mirror.npm]\nurl = \"https://a.example\"\nredirects = [\"https://b\"]\n")
            .find("HOST") != std::string::npos);
  CHECK(complaint("[mirror.npm]\nurl = \"https://a.example\"\nalow = []\n").find("allow") !=
        std::string::npos);
  CHECK(complaint("[mirror.Npm]\nurl = \"https://a.example\"\n").find("[mirror.NAME]") !=
        std::string::npos);
}
