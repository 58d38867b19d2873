#include "common/random.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "common/assert.hpp"

namespace germline {

std::uint64_t random_source::next_u64() {
  std::array<std::uint8_t, 8> bytes{};
  fill(bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::uint64_t random_source::below(std::uint64_t bound) {
  GERMLINE_ASSERT(bound > 0);
  // Rejection sampling: without it small remainders would be favoured.
  const auto limit =
      std::numeric_limits<std::uint64_t>::max() - std::numeric_limits<std::uint64_t>::max() % bound;
  for (;;) {
    if (const auto value = next_u64(); value < limit) return value % bound;
  }
}

void system_random::fill(std::span<std::uint8_t> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto got = ::getrandom(bytes.data() + done, bytes.size() - done, 0);
    if (got < 0) {
      GERMLINE_ASSERT(errno == EINTR);
      continue;
    }
    done += static_cast<std::size_t>(got);
  }
}

void seeded_random::fill(std::span<std::uint8_t> bytes) {
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(engine_());
}

}  // namespace germline
