// What root has prepared for the coordinator of `germline up`. Needs root for what it shows.
#include "cli/up/handing_over.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/pki/authority.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

constexpr uid_t someone = 65'533;

struct place {
  place() {
    std::string name = "/tmp/germline-handing-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    REQUIRE(::chmod(name.c_str(), 0755) == 0);
    root = name;
  }
  ~place() { fs::remove_all(root); }
  std::string at(const std::string& name) const { return root + "/" + name; }
  uid_t owner(const std::string& name) const {
    struct stat found {};
    REQUIRE(::lstat(at(name).c_str(), &found) == 0);
    return found.st_uid;
  }
  std::string root;
};

}  // namespace

TEST_CASE("an authority that root has made becomes the coordinator's, whole") {
  if (::geteuid() != 0) return;
  const place here;
  const system_clock_source time;
  REQUIRE(pki::authority::make(here.at("pki"), time));
  std::ofstream(here.at("others")) << "x";
  fs::create_symlink(here.at("others"), here.at("pki/ca.key.next"));
  std::ofstream(here.at("pki/notes")) << "root's own";
  REQUIRE(hand_over_authority(here.at("pki"), someone, someone));
  for (const auto* name :
       {"pki", "pki/ca.crt", "pki/ca.key", "pki/token.key", "pki/certificates.jsonl", "pki/server",
        "pki/server/ca.crt", "pki/server/tls.crt", "pki/server/tls.key"}) {
    CAPTURE(name);
    CHECK(here.owner(name) == someone);
  }
  CHECK(here.owner("others") == 0);
  CHECK(here.owner("pki/ca.key.next") == 0);
  CHECK(here.owner("pki/notes") == 0);
  CHECK(hand_over_authority(here.at("pki"), someone, someone));
  CHECK(hand_over_authority(here.at("none"), someone, someone));
}

TEST_CASE("a folder of something else stays root's") {
  if (::geteuid() != 0) return;
  const place here;
  fs::create_directories(here.at("etc"));
  std::ofstream(here.at("etc/ca.crt")) << "x";
  const auto refused = hand_over_authority(here.at("etc"), someone, someone);
  CHECK(refused.error().code() == error_code::invalid_argument);
  CHECK(here.owner("etc") == 0);
  CHECK(here.owner("etc/ca.crt") == 0);
  fs::create_symlink(here.at("etc"), here.at("link"));
  CHECK_FALSE(hand_over_authority(here.at("link"), someone, someone));
  fs::create_directories(here.at("empty"));
  CHECK(hand_over_authority(here.at("empty"), someone, someone));
  CHECK(here.owner("empty") == someone);
}

TEST_CASE("who closes the way to an authority is named") {
  if (::geteuid() != 0) return;
  const place here;
  fs::create_directories(here.at("closed/pki"));
  CHECK(check_way_to(here.at("closed/pki"), someone, someone));
  REQUIRE(::chmod(here.at("closed").c_str(), 0700) == 0);
  const auto refused = check_way_to(here.at("closed/pki"), someone, someone);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("chmod o+x " + here.at("closed")) != std::string::npos);
  CHECK(check_way_to(here.at("closed/pki"), 0, 0));
}

TEST_CASE("credentials are copied for a coordinator alone, and only a coordinator's") {
  if (::geteuid() != 0) return;
  const place here;
  const system_clock_source time;
  const auto home = std::move(*pki::authority::make(here.at("pki"), time));
  REQUIRE(pki::write_credentials(
      here.at("c"), *home->issue({pki::role::coordinator, std::string(pki::coordinator_host)}, 0)));
  REQUIRE(pki::write_credentials(here.at("p"), *home->issue({pki::role::person, "ann"}, 0)));
  fs::create_directories(here.at("to"));
  REQUIRE(::chown(here.at("to").c_str(), someone, someone) == 0);
  CHECK(copy_credentials(here.at("p"), here.at("to")).error().code() ==
        error_code::invalid_argument);
  CHECK(fs::is_empty(here.at("to")));
  REQUIRE(copy_credentials(here.at("c"), here.at("to")));
  struct stat found {};
  REQUIRE(::stat(here.at("to/tls.key").c_str(), &found) == 0);
  CHECK(found.st_uid == someone);
  CHECK((found.st_mode & 0777) == 0600);
  CHECK(here.owner("c/tls.key") == 0);
}

}  // namespace germline::cli
