// environment: what every part of the coordinator is given: the seams to time and entropy. Owns
// nothing. `locked_random` makes any random_source usable from several threads.
#pragma once

#include <mutex>

#include "common/clock.hpp"
#include "common/random.hpp"

namespace germline {

class locked_random final : public random_source {
 public:
  explicit locked_random(random_source& inner) : inner_(inner) {}
  void fill(std::span<std::uint8_t> bytes) override {
    const std::lock_guard lock(mutex_);
    inner_.fill(bytes);
  }

 private:
  std::mutex mutex_;
  random_source& inner_;
};

struct environment {
  const clock* time = nullptr;
  random_source* random = nullptr;  // callable from any thread
};

}  // namespace germline
