#include "worker/gateway/request_difference.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/text/nesting.hpp"
#include "common/text/utf8.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr std::size_t max_shown_bytes = 160;
constexpr std::size_t shown_before_bytes = 40;  // of a text, before the place where it differs
constexpr int max_depth = 64;
constexpr std::size_t max_nesting = 1'000;  // of what is looked at as JSON: the library recurses
// What the gateway puts into a request (docs/gateway.md).
constexpr std::array<const char*, 5> put_in = {"max_completion_tokens", "max_tokens",
                                               "max_output_tokens", "store", "stream_options"};

struct difference {
  std::string path;  // "messages[3].content"
  std::string asked;
  std::string recorded;
};

std::string shortened(std::string_view text) {
  auto shown = valid_utf8(text, max_shown_bytes);
  if (text.size() > max_shown_bytes) shown += "…";
  return shown;
}

std::string shown(const json& value) {
  return shortened(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::size_t common_beginning(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

/// A text from a little before where it differs.
std::string shown_from(const std::string& text, std::size_t place) {
  const bool is_long = place > shown_before_bytes;
  auto begin = is_long ? place - shown_before_bytes : 0;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return (is_long ? "…" : "") + shown(json(text.substr(begin)));
}

std::string member(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

std::optional<difference> compare(const json& asked, const json& recorded, const std::string& path,
                                  int depth);

std::optional<difference> compare_objects(const json& asked, const json& recorded,
                                          const std::string& path, int depth) {
  for (const auto& [key, value] : asked.items()) {
    const auto other = recorded.find(key);
    if (other == recorded.end()) {
      return difference{member(path, shortened(key)), shown(value), "nothing"};
    }
    if (value == *other) continue;  // no place is spelt for what is the same
    return compare(value, *other, member(path, shortened(key)), depth + 1);
  }
  for (const auto& [key, value] : recorded.items()) {
    if (!asked.contains(key)) {
      return difference{member(path, shortened(key)), "nothing", shown(value)};
    }
  }
  return std::nullopt;
}

std::optional<difference> compare_arrays(const json& asked, const json& recorded,
                                         const std::string& path, int depth) {
  for (std::size_t i = 0; i < std::max(asked.size(), recorded.size()); ++i) {
    const bool is_both = i < asked.size() && i < recorded.size();
    if (is_both && asked[i] == recorded[i]) continue;
    const auto where = path + "[" + std::to_string(i) + "]";
    if (i >= asked.size()) return difference{where, "nothing", shown(recorded[i])};
    if (i >= recorded.size()) return difference{where, shown(asked[i]), "nothing"};
    return compare(asked[i], recorded[i], where, depth + 1);
  }
  return std::nullopt;
}

std::optional<difference> compare(const json& asked, const json& recorded, const std::string& path,
                                  int depth) {
  if (depth < max_depth) {
    if (asked.is_object() && recorded.is_object()) {
      return compare_objects(asked, recorded, path, depth);
    }
    if (asked.is_array() && recorded.is_array()) {
      return compare_arrays(asked, recorded, path, depth);
    }
  }
  if (asked == recorded) return std::nullopt;
  if (asked.is_string() && recorded.is_string()) {
    const auto& a = asked.get_ref<const std::string&>();
    const auto& b = recorded.get_ref<const std::string&>();
    const auto place = common_beginning(a, b);
    return difference{path, shown_from(a, place), shown_from(b, place)};
  }
  return difference{path, shown(asked), shown(recorded)};
}

json parsed(std::string_view text) {
  if (json_nesting(text) > max_nesting) return json(json::value_t::discarded);
  return json::parse(text, nullptr, false);
}

std::string around(std::string_view text, std::size_t place) {
  const auto begin = place > shown_before_bytes ? place - shown_before_bytes : 0;
  return shortened(text.substr(begin));
}

}  // namespace

std::string own_words(std::string_view request) {
  auto one = parsed(request);
  if (!one.is_object()) return std::string(request);
  for (const auto* key : put_in) one.erase(key);
  return one.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::string> first_difference(std::string_view asked, std::string_view recorded,
                                            bool in_own_words) {
  if (asked == recorded) return std::nullopt;
  auto one = parsed(asked);
  const auto other = parsed(recorded);
  if (one.is_object() && other.is_object()) {
    if (in_own_words) {
      for (const auto* key : put_in) {
        if (!other.contains(key)) one.erase(key);
      }
    }
    if (const auto found = compare(one, other, "", 0)) {
      return found->path + " is " + found->asked + ", recorded was " + found->recorded;
    }
    if (in_own_words) return std::nullopt;
  }
  const auto place = common_beginning(asked, recorded);
  const std::string same =
      one.is_object() && other.is_object() ? "the same JSON, written otherwise: " : "";
  return same + "from byte " + std::to_string(place) + " on it is " + around(asked, place) +
         ", recorded was " + around(recorded, place);
}

}  // namespace germline::worker
