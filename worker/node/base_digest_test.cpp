#include "worker/node/base_digest.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include <stdlib.h>

namespace fs = std::filesystem;
using germline::worker::compute_base_digest;

namespace {

struct fake_system {
  fs::path root;
  fake_system() {
    std::string name = (fs::temp_directory_path() / "base-XXXXXX").string();
    root = ::mkdtemp(name.data());
    fs::create_directories(root / "dpkg/info");
    fs::create_directories(root / "usr/bin");
    fs::create_directories(root / "usr/local");
    write("dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n");
    write("dpkg/info/a.list", (root / "usr/bin/owned").string() + "\n");
    write("usr/bin/owned", "x");
  }
  ~fake_system() { fs::remove_all(root); }
  void write(const std::string& path, const std::string& text) const {
    std::ofstream(root / path) << text;
  }
  std::string digest() const {
    const auto made = compute_base_digest((root / "dpkg").string(), (root / "usr").string());
    REQUIRE(made);
    return *made;
  }
};

}  // namespace

TEST_CASE("the digest follows packages and foreign files, and nothing else") {
  const fake_system system;
  const auto first = system.digest();
  CHECK(first.size() == 64);
  system.write("usr/bin/owned", "a package's file is named by its version");
  system.write("usr/local/tool", "not part of the base");
  CHECK(system.digest() == first);
  system.write("usr/bin/foreign", "y");
  const auto with_foreign = system.digest();
  CHECK(with_foreign != first);
  system.write("dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 2\n");
  CHECK(system.digest() != with_foreign);
}

TEST_CASE("a system without dpkg is told so") {
  const auto failed = compute_base_digest("/nonexistent", "/usr");
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message().find("Debian") != std::string::npos);
}
