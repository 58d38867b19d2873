#include "worker/gateway/strict_body.hpp"

#include <algorithm>
#include <vector>

#include "common/assert.hpp"

namespace germline::worker::strict {
namespace {

using nlohmann::json;

constexpr std::size_t max_depth = 200;

/// Builds the value, and refuses keys that are there twice, and nesting that is too deep. In one
/// pass: a long body is read once, and nlohmann's own builder takes a key's last value unasked.
class builder final : public json::json_sax_t {
 public:
  /// After a parse that went well.
  json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON has none
  bool start_object(std::size_t) override { return open(json::object()); }
  bool key(string_t& name) override {
    auto& members = open_.back()->get_ref<json::object_t&>();
    const auto [place, is_new] = members.try_emplace(std::move(name));
    if (!is_new) refuse("the key " + shown(place->first) + " is there twice");
    member_ = &place->second;
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return false;
  }

 private:
  /// Where the next value belongs: the last key's, the array's next, or all of it.
  json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *member_;
    return open_.back()->get_ref<json::array_t&>().emplace_back();
  }
  bool put(json value) {
    place() = std::move(value);
    return true;
  }
  bool open(json empty) {
    if (open_.size() == max_depth) refuse("the body is nested too deeply");
    auto& here = place();
    here = std::move(empty);
    open_.push_back(&here);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*> open_;  // a container stays where it is while one within it is open
  json* member_ = nullptr;
};

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

}  // namespace

void refuse(std::string message) {
  throw refused{std::move(message)};  // caught in judged_by
}

bool has(names list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::string shown(std::string_view name) {
  return "'" + std::string(name.substr(0, 100)) + (name.size() > 100 ? "…'" : "'");
}

const std::string& text_member(const json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    refuse(where + ": '" + key + "' must be a string");
  }
  return found->get_ref<const std::string&>();
}

void one_spelling(const json& object, std::string_view key, const std::string& where) {
  const auto same_letter = [](char a, char b) {
    const auto small = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    return small(a) == small(b);
  };
  for (const auto& [name, ignored] : object.items()) {
    if (name != key && std::ranges::equal(name, key, same_letter)) {
      refuse(where + ": the field " + shown(name) + " is not allowed");
    }
  }
}

const json* given(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

void only_members(const json& object, names allowed, const std::string& where) {
  if (!object.is_object()) refuse(where + " must be an object");
  for (const auto& [key, ignored] : object.items()) {
    if (!has(allowed, key)) refuse(where + ": the field " + shown(key) + " is not allowed");
  }
}

json parse(std::string_view body) {
  // Taken for the end of the text here, and perhaps not by the next reader.
  if (body.find('\0') != body.npos) refuse("the body has a NUL byte");
  builder built;  // a callback of json::parse would take quadratic time
  const bool well_formed = json::sax_parse(body, &built);
  json request = well_formed ? built.take() : json();
  if (!request.is_object()) refuse("the body must be a JSON object");
  return request;
}

bool read_stream(const json& request) {
  const json* stream = given(request, "stream");
  if (!stream) return false;
  if (!stream->is_boolean()) refuse("'stream' must be true or false");
  return stream->get<bool>();
}

std::optional<std::int64_t> read_cap(const json& request, const char* key, std::int64_t largest) {
  const json* cap = given(request, key);
  if (!cap) return std::nullopt;
  if (!cap->is_number_integer() || *cap < 1 || *cap > largest) {
    refuse("'" + std::string(key) + "' must be a whole number from 1 to " +
           std::to_string(largest));
  }
  return cap->get<std::int64_t>();
}

void check_inline_image(const json& url, const std::string& where) {
  if (!url.is_string() || !url.get_ref<const std::string&>().starts_with("data:image/")) {
    refuse(where + ": an image must be within the request, as a data:image/… URL");
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
