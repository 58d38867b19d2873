// units: reads the durations, sizes and keys that people write in TOML files and flags, and writes
// them back. Not a config reader: it knows single values only.
// Pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline {

/// "250ms", "20s", "30m", "2h", "7d", and sums with falling units such as "1h30m". A bare number is
/// an error, except "0". The error names what would be right.
result<std::int64_t> parse_duration_ms(std::string_view text);

/// "512B", "64KiB", "512MiB", "2GiB", "1TiB", and the decimal "kB", "MB", "GB", "TB".
result<std::int64_t> parse_size_bytes(std::string_view text);

/// The largest sum of units that says it exactly: 5'400'000 -> "1h30m".
std::string format_duration_ms(std::int64_t duration_ms);

/// The largest binary unit that says it exactly: 2'147'483'648 -> "2GiB".
std::string format_size_bytes(std::int64_t size_bytes);

/// For people, to a tenth where that says something: "812 B", "1.2 MiB", "300 KiB".
std::string rough_size(std::int64_t size_bytes);

/// Insertions, deletions, substitutions and swaps of neighbours that turn one into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The key of `known` that was probably meant by `key`; none when nothing is near.
std::optional<std::string_view> nearest_key(std::string_view key,
                                            std::span<const std::string_view> known);

/// "unknown key `contxt`; did you mean `context`?", or the list of known keys when none is near.
std::string unknown_key_message(std::string_view key, std::span<const std::string_view> known);

}  // namespace germline
