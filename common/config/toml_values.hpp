// toml_values: a TOML document flattened to dotted keys and plain values, so that one translation
// unit pays for the parser and readers of run.toml and config.toml need not know it.
// Pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/result.hpp"

namespace germline {

struct toml_value {
  std::string key;  // "sandbox.memory"
  std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>> value;
  std::int64_t line = 0;
};

/// The values in the order of their lines. `name` is that of the file, for messages. Refuses what
/// is no TOML, dates, and arrays of anything but strings, which none of our files has.
result<std::vector<toml_value>> parse_toml(std::string_view text, std::string_view name);

/// The file's bytes, at most 1 MiB.
result<std::string> read_small_file(const std::string& path);

}  // namespace germline
