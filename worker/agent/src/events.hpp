// Reports steps to the environment. A report that fails costs nothing.
#pragma once

#include <string>

namespace agent {

class events {
 public:
  /// `base_url` empty: nothing is reported.
  events(std::string base_url, std::string key);
  /// `status` is started, done or failed.
  void report(const std::string& step, const std::string& status,
              const std::string& detail = {}) const;

 private:
  std::string base_url_;
  std::string key_;
};

}  // namespace agent
