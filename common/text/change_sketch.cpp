#include "common/text/change_sketch.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace germline {
namespace {

constexpr std::size_t shingle_tokens = 4;

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_of_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

/// The finalizer of splitmix64: S. Vigna, https://prng.di.unimi.it/splitmix64.c.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// FNV-1a of 64 bits.
std::uint64_t hash_of(std::string_view token) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : token) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

/// Calls `with` with each run of tokens. A text of fewer tokens is one run.
template <class With>
void for_each_shingle(std::string_view text, With with) {
  std::array<std::uint64_t, shingle_tokens> newest{};
  std::size_t tokens = 0;
  const auto shingle = [&](std::size_t length) {
    std::uint64_t hash = length;
    for (std::size_t i = tokens - length; i < tokens; ++i) {
      hash = mix(hash * 0x9e3779b97f4a7c15 + newest.at(i % shingle_tokens));
    }
    with(hash);
  };
  for (std::size_t at = 0; at < text.size();) {
    if (is_space(text[at])) {
      ++at;
      continue;
    }
    auto end = at + 1;
    if (is_of_word(text[at])) {
      while (end < text.size() && is_of_word(text[end])) ++end;
    }
    newest.at(tokens++ % shingle_tokens) = hash_of(text.substr(at, end - at));
    if (tokens >= shingle_tokens) shingle(shingle_tokens);
    at = end;
  }
  if (tokens > 0 && tokens < shingle_tokens) shingle(tokens);
}

}  // namespace

result<change_sketch> change_sketch::read(std::string_view bytes) {
  change_sketch out;
  if (bytes.size() % 8 != 0 || bytes.size() > bytes_max) {
    return error(error_code::invalid_argument,
                 "a change's sketch has hashes of 8 bytes, at most " + std::to_string(kept_max));
  }
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      hash |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    }
    if (!out.smallest_.empty() && out.smallest_.back() >= hash) {
      return error(error_code::invalid_argument, "a change's sketch is not in ascending order");
    }
    out.smallest_.push_back(hash);
  }
  return out;
}

std::string change_sketch::bytes() const {
  std::string out;
  for (const auto hash : smallest_) {
    for (int i = 0; i < 8; ++i) out += static_cast<char>(hash >> (8 * i) & 255);
  }
  return out;
}

double change_sketch::likeness(const change_sketch& other) const {
  auto mine = smallest_.begin();
  auto theirs = other.smallest_.begin();
  if (mine == smallest_.end() || theirs == other.smallest_.end()) return 0;
  // Of the smallest of both together, how many both have. Beyond the end of one that is full
  // nothing is known of it; the first kept_max of both lie before that.
  const bool is_cut = smallest_.size() == kept_max || other.smallest_.size() == kept_max;
  const std::size_t most = is_cut ? kept_max : smallest_.size() + other.smallest_.size();
  std::size_t both = 0;
  std::size_t all = 0;
  while (all < most && (mine != smallest_.end() || theirs != other.smallest_.end())) {
    const bool is_mine =
        theirs == other.smallest_.end() || (mine != smallest_.end() && *mine <= *theirs);
    const bool is_theirs =
        mine == smallest_.end() || (theirs != other.smallest_.end() && *theirs <= *mine);
    if (is_mine) ++mine;
    if (is_theirs) ++theirs;
    both += is_mine && is_theirs ? 1 : 0;
    ++all;
  }
  return static_cast<double>(both) / static_cast<double>(all);
}

void change_sketcher::add(std::string_view before, std::string_view after) {
  for_each_shingle(before, [&](std::uint64_t shingle) { --more_[shingle]; });
  for_each_shingle(after, [&](std::uint64_t shingle) { ++more_[shingle]; });
}

change_sketch change_sketcher::make() const {
  change_sketch out;
  for (const auto& [shingle, more] : more_) {
    const std::uint64_t sign = more > 0 ? 1 : 2;
    // Each time by itself: Jaccard's index of multisets.
    for (std::int64_t i = 0; i < std::abs(more); ++i) {
      out.smallest_.push_back(mix(shingle + sign * 0x9e3779b97f4a7c15 +
                                  static_cast<std::uint64_t>(i) * 0xd1b54a32d192ed03));
    }
  }
  auto& all = out.smallest_;
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.size() > change_sketch::kept_max) all.resize(change_sketch::kept_max);
  return out;
}

}  // namespace germline
