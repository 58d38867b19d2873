// Notices that the same calls give the same results over and over. Pure state, no time.
#pragma once

#include <string>
#include <vector>

namespace agent {

class stuck_detector {
 public:
  /// One round: all calls of a turn with their results, as text.
  void note(const std::string& round);
  /// The last rounds are `times` or more repetitions of a cycle of one to three rounds.
  bool repeats(std::size_t times) const;

 private:
  std::vector<std::size_t> rounds_;  // hashes
};

}  // namespace agent
