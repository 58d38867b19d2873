// toml_reader: takes values out of a TOML table by key, and says of each error where it is and what
// would be right. It remembers the first error and the keys that were asked for, so that a reader
// reads on and asks once at the end. For all files that people write (genome.toml, run.toml,
// config.toml). Borrows the table. One thread at a time.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline {

/// Parses TOML; a syntax error names `source:line`. At most `bytes_max` bytes and 32 levels.
result<toml::table> parse_toml(std::string_view text, std::string_view source,
                               std::size_t bytes_max);

class toml_reader {
 public:
  /// `table` may be null: then every key is absent. `name` is "" for the root, else "[agent]".
  toml_reader(const toml::table* table, std::string_view source, std::string_view name)
      : table_(table), source_(source), name_(name) {}

  std::optional<std::string> text(std::string_view key);
  std::optional<std::int64_t> whole(std::string_view key, std::int64_t least, std::int64_t most);
  std::optional<double> number(std::string_view key, double least, double most);
  std::optional<bool> flag(std::string_view key);
  std::optional<std::int64_t> duration_ms(std::string_view key);
  std::optional<std::int64_t> size_bytes(std::string_view key);
  std::optional<std::vector<std::string>> texts(std::string_view key);
  /// One of `choices`, by its index.
  std::optional<std::size_t> choice(std::string_view key,
                                    const std::vector<std::string_view>& choices);
  const toml::table* table(std::string_view key);

  /// Notes an error about a key, at its line; the first one stays.
  void fail(std::string_view key, std::string_view message);
  /// The error that a key is not there.
  void require(std::string_view key, std::string_view example);

  /// Notes an error for the first key that nobody asked for. The first error, or none.
  result<void> finish();

 private:
  const toml::node* find(std::string_view key);
  const toml::table* table_;
  std::string_view source_;
  std::string name_;
  std::vector<std::string_view> known_;
  std::optional<error> failed_;
  bool only_missing_ = false;  // what failed is that a key is not there
};

}  // namespace germline
