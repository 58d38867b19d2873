// binary_fixture: for tests of the real binary, as a child: a folder of the test's own, and how the
// command ended. One thread.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace germline::cli::testing {

class folder {
 public:
  folder() {
    std::string name = "/tmp/germline-cli-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() { std::filesystem::remove_all(path_); }
  std::string at(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct outcome {
  int code = -1;
  std::string out, err;
};

inline std::string slurp(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Runs `germline` by a shell, with no setting of the caller's own but `variables`.
inline outcome germline(const folder& place, const std::string& arguments,
                        const std::string& variables = "") {
  const auto command = "env -i HOME=" + place.at("") + " PATH=\"$PATH\" " + variables +
                       " " GERMLINE_BINARY " " + arguments + " >" + place.at("out") + " 2>" +
                       place.at("err") + " </dev/null";
  const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, slurp(place.at("out")),
          slurp(place.at("err"))};
}

}  // namespace germline::cli::testing
