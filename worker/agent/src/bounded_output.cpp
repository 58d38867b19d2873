#include "bounded_output.hpp"

#include <algorithm>

namespace agent {

void bounded_output::append(std::string_view bytes) {
  total_bytes_ += bytes.size();
  const auto room = std::min(head_bytes_ - head_.size(), bytes.size());
  head_.append(bytes.substr(0, room));
  tail_.append(bytes.substr(room));
  // Cut only when twice the bound is held: each byte is then moved at most once on average.
  if (tail_.size() > 2 * tail_bytes_) tail_.erase(0, tail_.size() - tail_bytes_);
}

std::string bounded_output::text() const {
  const auto tail =
      std::string_view(tail_).substr(tail_.size() - std::min(tail_.size(), tail_bytes_));
  const auto cut = total_bytes_ - head_.size() - tail.size();
  if (cut == 0) return head_ + std::string(tail);
  return head_ + "\n[... " + std::to_string(cut) + " bytes cut ...]\n" + std::string(tail);
}

std::string bounded(std::string_view text, std::size_t head_bytes, std::size_t tail_bytes) {
  bounded_output out(head_bytes, tail_bytes);
  out.append(text);
  return out.text();
}

}  // namespace agent
