// The agent's clone, by the git command.
#pragma once

#include <string>
#include <vector>

#include "result.hpp"

namespace agent {

class repository {
 public:
  explicit repository(std::string directory) : directory_(std::move(directory)) {}

  result<std::string> head() const;
  /// Paths that differ from commit `base`, committed or not, untracked ones included.
  result<std::vector<std::string>> changed_since(const std::string& base) const;
  /// Puts a path back to what it is in `base`; one that is not there is removed.
  result<bool> restore(const std::string& base, const std::string& path) const;
  /// Back to `base` with nothing changed and nothing untracked but what is ignored.
  result<bool> reset_to(const std::string& base) const;
  result<bool> commit_all(const std::string& message) const;
  result<bool> push(const std::string& remote, const std::string& branch) const;

 private:
  result<std::string> git(const std::vector<std::string>& arguments) const;

  std::string directory_;
};

}  // namespace agent
