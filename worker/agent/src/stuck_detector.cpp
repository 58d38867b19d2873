#include "stuck_detector.hpp"

#include <functional>

namespace agent {

void stuck_detector::note(const std::string& round) {
  rounds_.push_back(std::hash<std::string>()(round));
}

bool stuck_detector::repeats(std::size_t times) const {
  for (std::size_t period = 1; period <= 3; ++period) {
    const std::size_t span = period * times;
    if (rounds_.size() < span) continue;
    const auto begin = rounds_.size() - span;
    bool same = true;
    for (std::size_t i = begin + period; i < rounds_.size(); ++i) {
      same = same && rounds_[i] == rounds_[i - period];
    }
    if (same) return true;
  }
  return false;
}

}  // namespace agent
