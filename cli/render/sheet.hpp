// sheet: one thing as lines of a key and a value each, for people. Owned by one function.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "cli/render/words.hpp"
#include "common/clock.hpp"

namespace germline::cli {

/// "key        value" lines; empty values are left out.
class sheet {
 public:
  explicit sheet(const style& how) : how_(how) {}

  /// `value` is trusted or safe.
  void add(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    text_ += painted(how_, paint::bold, key);
    text_.append(key.size() < column ? column - key.size() : 1, ' ');
    text_ += std::string(value) + "\n";
  }
  /// A value from elsewhere, in as many lines as it takes.
  void add_text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    const auto lines = indented(how_, value, column);
    text_ += painted(how_, paint::bold, key);
    text_.append(column - std::min(key.size(), column), ' ');
    text_ += lines.substr(column);
  }
  void add_more(std::string_view value) { text_ += indented(how_, value, column); }
  void add_time(std::string_view key, std::int64_t utc_ms) {
    if (utc_ms > 0) add(key, to_iso8601(utc_ms));
  }
  void add_block(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    text_ += painted(how_, paint::bold, key) + "\n" + indented(how_, value, 2);
  }
  /// What is to be copied as it is: its lines are not broken.
  void add_verbatim(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    text_ += painted(how_, paint::bold, key) + "\n" + indented({}, value, 2);
  }
  std::string take() { return std::move(text_); }

 private:
  static constexpr std::size_t column = 14;
  const style& how_;
  std::string text_;
};

}  // namespace germline::cli
