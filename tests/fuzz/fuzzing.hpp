// fuzzing: what the fuzz tests of the gateway share: the random_seed and rounds that the
// environment may set, and mutations of plain bytes. A failure repeats by its random_seed.
// Plain functions; one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/random.hpp"

namespace germline::tests {

/// Fixed, or GERMLINE_FUZZ_SEED.
inline std::uint64_t fuzz_seed() {
  const char* text = std::getenv("GERMLINE_FUZZ_SEED");
  return text == nullptr ? 20'260'101 : std::strtoull(text, nullptr, 10);
}

/// `usual` rounds, or GERMLINE_FUZZ_TIMES as many.
inline std::size_t fuzz_rounds(std::size_t usual) {
  const char* text = std::getenv("GERMLINE_FUZZ_TIMES");
  return text == nullptr ? usual : usual * std::strtoull(text, nullptr, 10);
}

template <class Items>
const auto& pick(const Items& from, random_source& random) {
  return from[random.below(from.size())];
}

inline bool one_in(std::uint64_t so_many, random_source& random) {
  return random.below(so_many) == 0;
}

/// Up to `most` small changes: another byte, a piece cut out, doubled or moved, or the end cut off.
inline std::string mutate_bytes(std::string bytes, std::uint64_t most, random_source& random) {
  for (auto left = random.below(most + 1); left > 0 && !bytes.empty(); --left) {
    const auto at = random.below(bytes.size());
    const auto length = 1 + random.below(std::min<std::size_t>(bytes.size() - at, 40));
    switch (random.below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        if (one_in(4, random)) bytes.resize(at);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, length));
        break;
      default:
        bytes.insert(random.below(bytes.size()), bytes.substr(at, length));
        break;
    }
  }
  return bytes;
}

/// `whole` in pieces of up to `most` bytes.
inline std::vector<std::string> chopped(std::string_view whole, std::size_t most,
                                        random_source& random) {
  std::vector<std::string> pieces;
  while (!whole.empty()) {
    const auto size = std::min<std::size_t>(whole.size(), 1 + random.below(most));
    pieces.emplace_back(whole.substr(0, size));
    whole.remove_prefix(size);
  }
  return pieces;
}

}  // namespace germline::tests
