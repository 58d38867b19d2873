// byte_pool: how many bytes of requests and answers may be held in memory at a time: by one
// attempt, and, above that, by all of them. held_bytes: one holder's share, given back when it
// ends. Not memory itself: whoever holds bytes says so. One thread; a pool outlives its holders and
// the pools within it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace germline::worker {

class byte_pool {
 public:
  /// Takes from `all` too, where it is given.
  explicit byte_pool(std::int64_t most, byte_pool* all = nullptr) : most_(most), all_(all) {}
  byte_pool(const byte_pool&) = delete;
  byte_pool& operator=(const byte_pool&) = delete;

  bool take(std::int64_t bytes) {
    if (bytes > most_ - taken_ || (all_ && !all_->take(bytes))) return false;
    taken_ += bytes;
    most_taken_ = std::max(most_taken_, taken_);
    return true;
  }
  void give_back(std::int64_t bytes) {
    taken_ -= bytes;
    if (all_) all_->give_back(bytes);
  }
  std::int64_t taken() const { return taken_; }
  /// The most that was taken at a time since forget_most_taken().
  std::int64_t most_taken() const { return most_taken_; }
  void forget_most_taken() { most_taken_ = taken_; }
  /// Whether so many would fit if nothing else were taken.
  bool could_take(std::uint64_t bytes) const {
    return bytes <= static_cast<std::uint64_t>(most_) && (!all_ || all_->could_take(bytes));
  }

 private:
  const std::int64_t most_;
  byte_pool* const all_;
  std::int64_t taken_ = 0;
  std::int64_t most_taken_ = 0;
};

class held_bytes {
 public:
  explicit held_bytes(byte_pool& from) : from_(from) {}
  ~held_bytes() { from_.give_back(bytes_); }
  held_bytes(const held_bytes&) = delete;
  held_bytes& operator=(const held_bytes&) = delete;

  /// Holds at least `bytes` from now on. False: there is no room, and all is as before.
  bool grow_to(std::uint64_t bytes) {
    if (bytes > INT64_MAX) return false;
    const auto more = std::max<std::int64_t>(0, static_cast<std::int64_t>(bytes) - bytes_);
    if (!from_.take(more)) return false;
    bytes_ += more;
    return true;
  }
  std::int64_t bytes() const { return bytes_; }
  /// Holds at most `bytes` from now on.
  void shrink_to(std::int64_t bytes) {
    const auto fewer = std::max<std::int64_t>(0, bytes_ - bytes);
    from_.give_back(fewer);
    bytes_ -= fewer;
  }
  /// So many more.
  bool grow_by(std::uint64_t bytes) {
    return bytes <= INT64_MAX && grow_to(static_cast<std::uint64_t>(bytes_) + bytes);
  }

 private:
  byte_pool& from_;
  std::int64_t bytes_ = 0;
};

}  // namespace germline::worker
