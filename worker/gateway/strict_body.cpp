#include "worker/gateway/strict_body.hpp"

#include <algorithm>
#include <utility>

#include "common/assert.hpp"

namespace germline::worker::strict {
namespace {

using nlohmann::json;

/// Walks over valid JSON text, for the places of things.
class walker {
 public:
  explicit walker(std::string_view text) : text_(text) {}

  std::size_t at() const { return at_; }
  char skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
    GERMLINE_ASSERT(at_ < text_.size());
    return text_[at_];
  }
  void go_behind(char wanted) {
    while (skip_space() != wanted) ++at_;
    ++at_;
  }
  std::string_view string() {
    const auto begin = at_++;
    while (text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    return text_.substr(begin, ++at_ - begin);
  }
  void value() {
    int depth = 0;
    do {
      const char c = skip_space();
      if (c == '"') {
        string();
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '}' || c == ']') {
        --depth;
        ++at_;
      } else if (c == ',' || c == ':') {
        ++at_;
      } else {  // a number or a literal
        at_ = std::min(text_.size(), text_.find_first_of(" \t\r\n,:]}", at_));
      }
    } while (depth > 0);
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

[[noreturn]] void refuse_text(std::string_view key, const std::string& where) {
  refuse(where + ": '" + std::string(key) + "' must be a string");
}

[[noreturn]] void refuse_stream() {
  refuse("'stream' must be true or false");
}

[[noreturn]] void refuse_cap(std::string_view key, std::int64_t largest) {
  refuse("'" + std::string(key) + "' must be a whole number from 1 to " + std::to_string(largest));
}

}  // namespace

void refuse(std::string message) {
  throw refused{std::move(message)};  // caught in judged_by
}

std::string place::text() const {
  if (in_ == nullptr) return std::string(name_);
  if (name_.empty()) return in_->text() + "[" + std::to_string(index_) + "]";
  return in_->text() + std::string(name_);
}

bool has(names list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::string shown(std::string_view name) {
  return "'" + std::string(name.substr(0, 100)) + (name.size() > 100 ? "…'" : "'");
}

std::string_view text_member(const value& object, std::string_view key, const place& where) {
  const value* found = object.find(key);
  if (!found || !found->is_string()) refuse_text(key, where.text());
  return found->text();
}

const std::string& text_member(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) refuse_text(key, where);
  return found->get_ref<const std::string&>();
}

void one_spelling(const value& object, std::string_view key, const place& where) {
  const auto same_letter = [](char a, char b) {
    const auto small = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    return small(a) == small(b);
  };
  for (const auto& [name, ignored] : object.members()) {
    if (name != key && std::ranges::equal(name, key, same_letter)) {
      refuse(where.text() + ": the field " + shown(name) + " is not allowed");
    }
  }
}

const value* given(const value& object, std::string_view key) {
  const value* found = object.find(key);
  return !found || found->is_null() ? nullptr : found;
}

const json* given(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

void only_members(const value& object, names allowed, const place& where) {
  if (!object.is_object()) refuse(where.text() + " must be an object");
  for (const auto& [key, ignored] : object.members()) {
    if (!has(allowed, key)) refuse(where.text() + ": the field " + shown(key) + " is not allowed");
  }
}

void only_fields(const value& request, names allowed, const request_limits& limits) {
  for (const auto& [key, ignored] : request.members()) {
    if (has(allowed, key) || std::ranges::find(limits.more_fields, key) != limits.more_fields.end())
      continue;
    refuse("the field " + shown(key) + " is not allowed");
  }
}

json parse(std::string_view body) {
  return document(body).root().to_json();
}

bool read_stream(const value& request) {
  const value* stream = given(request, "stream");
  if (stream && !stream->is_boolean()) refuse_stream();
  return stream && stream->is(true);
}

bool read_stream(const json& request) {
  const json* stream = given(request, "stream");
  if (stream && !stream->is_boolean()) refuse_stream();
  return stream && stream->get<bool>();
}

std::optional<std::int64_t> read_cap(const value& request, std::string_view key,
                                     std::int64_t largest) {
  const value* cap = given(request, key);
  if (!cap) return std::nullopt;
  const auto tokens = cap->integer();
  if (!tokens || *tokens < 1 || *tokens > largest) refuse_cap(key, largest);
  return tokens;
}

std::optional<std::int64_t> read_cap(const json& request, const char* key, std::int64_t largest) {
  const json* cap = given(request, key);
  if (!cap) return std::nullopt;
  if (!cap->is_number_integer() || *cap < 1 || *cap > largest) refuse_cap(key, largest);
  return cap->get<std::int64_t>();
}

void check_inline_image(const value* url, const place& where) {
  if (!url || !url->text().starts_with("data:image/")) {
    refuse(where.text() + ": an image must be within the request, as a data:image/… URL");
  }
}

std::string with_member(std::string_view body, std::string_view key, const json& value) {
  walker walk(body);
  walk.go_behind('{');
  const auto first = walk.at();
  for (char next = walk.skip_space(); next == '"'; next = walk.skip_space()) {
    const bool found = json::parse(walk.string()) == key;
    walk.go_behind(':');
    walk.skip_space();
    const auto begin = walk.at();
    walk.value();
    if (found) {
      return std::string(body.substr(0, begin)) + value.dump() +
             std::string(body.substr(walk.at()));
    }
    if (walk.skip_space() != ',') break;
    walk.go_behind(',');
  }
  return std::string(body.substr(0, first)) + json(key).dump() + ":" + value.dump() + "," +
         std::string(body.substr(first));
}

}  // namespace germline::worker::strict
