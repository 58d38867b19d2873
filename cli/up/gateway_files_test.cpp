// The files of a gateway, as its account sees them. Needs root for what it shows.
#include "cli/up/gateway_files.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

constexpr uid_t gateway = 65'532;
constexpr gid_t services = 65'531;

struct place {
  place() {
    std::string name = "/tmp/germline-place-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    REQUIRE(::chmod(name.c_str(), 0755) == 0);
    root = name;
  }
  ~place() { fs::remove_all(root); }
  std::string at(const std::string& name) const { return root + "/" + name; }
  std::string make(const std::string& name, mode_t mode) const {
    fs::create_directories(at(name));
    REQUIRE(::chmod(at(name).c_str(), mode) == 0);
    return at(name);
  }
  std::string root;
};

std::string refused(const std::string& folder) {
  const auto checked = check_transcripts_place(folder, gateway, services);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().code() == error_code::failed_precondition);
  const auto& why = checked.error().message();
  CHECK(why.find("uid 65532, cannot write its transcripts to " + folder) != std::string::npos);
  return why;
}

}  // namespace

TEST_CASE("a folder that the gateway cannot write is named, and what would mend it") {
  if (::geteuid() != 0) return;
  const place here;
  const auto roots = here.make("roots", 0755);
  CHECK(refused(roots).ends_with(": chown 65532:65531 " + roots));
  // Gateways of several workers cannot all own it.
  const auto shared = check_transcripts_place(roots, gateway, services, true);
  REQUIRE_FALSE(shared);
  CHECK(shared.error().message().ends_with(": chmod 1777 " + roots));
  REQUIRE(::chown(roots.c_str(), gateway, services) == 0);
  CHECK(check_transcripts_place(roots, gateway, services));
  CHECK(check_transcripts_place(here.make("all", 0777) + "/", gateway, services));
}

TEST_CASE("nor is one out of its reach, or one that is not there") {
  if (::geteuid() != 0) return;
  const place here;
  const auto closed = here.make("closed", 0700);
  const auto within = here.make("closed/t", 0777);
  CHECK(refused(within).ends_with(": chmod o+x " + closed));
  const auto none = here.at("none");
  CHECK(refused(none).ends_with("mkdir -p " + none + " && chown 65532:65531 " + none));
  // The last one the gateway makes itself.
  CHECK(check_transcripts_place(here.make("all", 0777) + "/new", gateway, services));
}

TEST_CASE("what is no folder is told as that") {
  if (::geteuid() != 0) return;
  const place here;
  const auto file = here.at("file");
  std::ofstream(file) << "x";
  CHECK(refused(file).ends_with("it is no folder. Name one"));
  REQUIRE(::chown(file.c_str(), gateway, services) == 0);
  CHECK(refused(file).ends_with("it is no folder. Name one"));
}

TEST_CASE("what the configuration names is looked at, and must be right") {
  if (::geteuid() != 0) return;
  const place here;
  const auto file = here.at("gateway.toml");
  const auto write = [&](const std::string& prices, const std::string& more = "") {
    std::ofstream(file)
        << "schema = 1\n[upstream]\nurl = \"http://127.0.0.1:1\"\n[prices]\nfile = \"" << prices
        << "\"\n"
        << more;
  };
  const auto why = [&](const std::string& config) {
    const auto checked = check_gateway_files(config, gateway, services);
    return checked ? std::string() : checked.error().message();
  };
  const auto prices = here.at("prices.json");
  fs::copy_file(GERMLINE_PRICES, prices);
  write(prices);
  CHECK(why(file).empty());
  CHECK(why("").empty());
  CHECK(why(here.at("none.toml")).find("none.toml") != std::string::npos);
  write(prices, "[transcripts]\ndirectory = \"" + here.make("t", 0755) + "\"\n");
  CHECK(why(file).find("cannot write its transcripts") != std::string::npos);
  write(here.at("missing.json"));
  CHECK(why(file).find("missing.json") != std::string::npos);
  write(prices);
  REQUIRE(::chmod(prices.c_str(), 0600) == 0);
  CHECK(why(file).ends_with("cannot read " + prices + ": it may not. Let it: chmod o+r " + prices));
  REQUIRE(::chmod(prices.c_str(), 0644) == 0);
  const auto closed = here.make("closed", 0700);
  fs::rename(prices, closed + "/prices.json");
  write(closed + "/prices.json");
  CHECK(why(file).ends_with("or: chmod o+x " + closed));
}

TEST_CASE("a key that is not set is told beforehand") {
  const place here;
  const auto file = here.at("gateway.toml");
  std::ofstream(file) << "schema = 1\n[[upstream]]\nname = \"far\"\nurl = \"http://127.0.0.1:1\"\n"
                         "key_env = \"GERMLINE_TEST_NO_KEY\"\n[[upstream]]\nname = \"near\"\n"
                         "url = \"http://127.0.0.1:2\"\n[prices]\nfile = \"" GERMLINE_PRICES "\"\n";
  const std::vector<std::string> none;
  CHECK(missing_keys("") == none);
  CHECK(missing_keys(file) ==
        std::vector<std::string>{"the upstream 'far' has no key: GERMLINE_TEST_NO_KEY is not set"});
  REQUIRE(::setenv("GERMLINE_TEST_NO_KEY", "k", 1) == 0);
  CHECK(missing_keys(file) == none);
  REQUIRE(::unsetenv("GERMLINE_TEST_NO_KEY") == 0);
}

}  // namespace germline::cli
