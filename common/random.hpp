// random_source: the seam through which the product takes entropy. Nothing else takes it.
// `system_random` reads the kernel's; `seeded_random` (std::mt19937_64) repeats from
// one random_seed and is for tests and simulation.
// system_random may be called from any thread; seeded_random from one.
#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace germline {

class random_source {
 public:
  virtual ~random_source() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;

  std::uint64_t next_u64();
  /// Uniform in [0, bound). REQUIRES bound > 0.
  std::uint64_t below(std::uint64_t bound);
};

class system_random final : public random_source {
 public:
  void fill(std::span<std::uint8_t> bytes) override;
};

class seeded_random final : public random_source {
 public:
  explicit seeded_random(std::uint64_t random_seed) : engine_(random_seed) {}
  void fill(std::span<std::uint8_t> bytes) override;

 private:
  std::mt19937_64 engine_;
};

}  // namespace germline
