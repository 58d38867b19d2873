// Keeps the head and the tail of a stream of bytes and counts what lies between, so that output of
// any size costs a fixed amount of memory and of the model's attention.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace agent {

class bounded_output {
 public:
  explicit bounded_output(std::size_t head_bytes = 12'000, std::size_t tail_bytes = 12'000)
      : head_bytes_(head_bytes), tail_bytes_(tail_bytes) {}

  void append(std::string_view bytes);
  /// Head and tail, with a line between that says how many bytes were cut, if any were.
  std::string text() const;
  std::size_t total_bytes() const { return total_bytes_; }

 private:
  std::size_t head_bytes_;
  std::size_t tail_bytes_;
  std::size_t total_bytes_ = 0;
  std::string head_;
  std::string tail_;
};

/// `text` bounded in one call.
std::string bounded(std::string_view text, std::size_t head_bytes, std::size_t tail_bytes);

}  // namespace agent
