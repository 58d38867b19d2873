// tags: what a worker says that it has, and a run that it needs: "gpu", "zone=a". Plain words,
// compared byte by byte; nothing is read into them.
// Pure functions; may be called from any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline {

inline constexpr std::size_t tags_max = 64;
inline constexpr std::size_t tag_bytes_max = 64;

/// 1 to 64 bytes of [a-z0-9._=/-].
result<void> check_tag(std::string_view tag);

/// Each checked, at most 64; sorted, and each once.
result<std::vector<std::string>> checked_tags(std::vector<std::string> tags);

/// "gpu, zone=a" as checked tags; an empty text has none.
result<std::vector<std::string>> parse_tags(std::string_view comma_separated);

/// "gpu, zone=a", for people; "gpu,zone=a" where `between` is a comma alone.
std::string join_tags(const std::vector<std::string>& tags, std::string_view between = ", ");

/// Whether `have` has all of `wanted`. REQUIRES both sorted.
bool has_tags(const std::vector<std::string>& have, const std::vector<std::string>& wanted);

}  // namespace germline
