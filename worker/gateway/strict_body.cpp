#include "worker/gateway/strict_body.hpp"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "common/assert.hpp"

namespace germline::worker::strict {
namespace {

using nlohmann::json;

constexpr std::size_t max_depth = 200;

/// The value, for those who judge it. Refuses keys that are there twice, and nesting that is too
/// deep.
json built(const simdjson::dom::element& value, std::size_t depth) {
  using simdjson::dom::element_type;
  const auto type = value.type();
  if (depth == max_depth && (type == element_type::OBJECT || type == element_type::ARRAY)) {
    refuse("the body is nested too deeply");
  }
  switch (type) {
    case element_type::OBJECT: {
      json::object_t members;
      for (const auto& [key, member] : simdjson::dom::object(value)) {
        const auto [place, is_new] = members.try_emplace(std::string(key));
        if (!is_new) refuse("the key " + shown(key) + " is there twice");
        place->second = built(member, depth + 1);
      }
      return members;
    }
    case element_type::ARRAY: {
      json::array_t all;
      const simdjson::dom::array elements(value);
      all.reserve(elements.size());
      for (const auto& each : elements) all.push_back(built(each, depth + 1));
      return all;
    }
    case element_type::STRING:
      return std::string_view(value);
    case element_type::INT64:
      return std::int64_t(value);
    case element_type::UINT64:
      return std::uint64_t(value);
    case element_type::DOUBLE:
      return double(value);
    case element_type::BOOL:
      return bool(value);
    case element_type::NULL_VALUE:
      break;
  }
  return nullptr;
}

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
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto failed = parser.parse(body.data(), body.size()).get(root);
  if (failed == simdjson::DEPTH_ERROR) refuse("the body is nested too deeply");
  if (failed == simdjson::NUMBER_ERROR) {
    refuse("the body has a number that is none, or that 64 bits do not hold");
  }
  if (failed || !root.is_object()) refuse("the body must be a JSON object");
  return built(root, 0);
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
