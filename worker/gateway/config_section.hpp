// config_section: one table of the gateway's configuration, key by key. Whatever is left at the end
// is unknown, and what was wrong first is told then. Every string is checked here to be one: not
// empty, without control characters, and without a space before or behind it.
// A helper while config.cpp reads; no thread affinity.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace germline::worker {

enum class when_empty { is_wrong, is_fine };

class section {
 public:
  /// [name] of the file, which may lack it.
  section(toml::table& file, const std::string& name);
  /// `table` may be null: nothing is there.
  section(toml::table* table, std::string name);

  /// `right` is for the message: what the value is, such as "the path of a price file".
  void text(const char* key, std::string& into, const std::string& right);
  /// False: the key is not there.
  bool flag(const char* key, bool& into);
  void number(const char* key, std::int64_t& into, std::int64_t least, std::int64_t most);
  /// None of them twice. `right` is what one of them is.
  void texts(const char* key, std::vector<std::string>& into, const std::string& right,
             when_empty empty_list);

  /// The first complaint, or empty.
  std::string finish();

 private:
  const toml::node* take(const char* key);
  /// What is wrong with a string, or empty.
  static std::string mistake(const std::string& value);
  void fail(const std::string& why, std::string_view key);

  std::string name_;
  toml::table* table_ = nullptr;
  std::vector<std::string> seen_;
  std::string complaint_;
};

}  // namespace germline::worker
