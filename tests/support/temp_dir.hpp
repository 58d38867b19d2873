// temp_dir: a directory of a test's own, gone with its owner. For tests only.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/assert.hpp"

namespace germline::tests {

class temp_dir {
 public:
  temp_dir() : path_((std::filesystem::temp_directory_path() / "germline-test-XXXXXX").string()) {
    GERMLINE_ASSERT(::mkdtemp(path_.data()) != nullptr);
  }
  ~temp_dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temp_dir(const temp_dir&) = delete;
  temp_dir& operator=(const temp_dir&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace germline::tests
