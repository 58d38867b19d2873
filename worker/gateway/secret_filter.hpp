// secret_filter: takes the gateway's keys out of what an upstream answers, as it streams by. An
// upstream that shows what it was sent must not show them to a sandbox: as they are, or with any of
// their characters escaped as JSON may. Every other byte passes; what may be the beginning of a key
// is held back until more comes.
// One per answer, one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace germline::worker {

/// The secrets for a filter to look for: those of `keys` that are too long to stand in an answer by
/// chance; those with a backslash also as JSON must write them.
std::vector<std::string> filtered_secrets(const std::vector<std::string>& keys);

class secret_filter {
 public:
  /// `secrets` must outlive this; none may be empty.
  explicit secret_filter(const std::vector<std::string>& secrets) : secrets_(secrets) {}

  /// Takes what arrived; afterwards `bytes` is what may be shown now, maybe nothing.
  void feed(std::string& bytes);
  /// What is still held back, when nothing more comes; the mark instead, where that is much of a
  /// key.
  std::string rest();

 private:
  const std::vector<std::string>& secrets_;
  std::string held_;
};

/// `text`, whole, without `secrets`.
std::string without_secrets(std::string_view text, const std::vector<std::string>& secrets);

}  // namespace germline::worker
