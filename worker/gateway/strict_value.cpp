#include "worker/gateway/strict_value.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "worker/gateway/strict_body.hpp"

namespace germline::worker::strict {
namespace {

constexpr std::size_t max_depth = 200;
// More than any model's context holds, at a token each. A body of millions would hold the gateway's
// one thread up for seconds, and take fifty times its size.
constexpr std::size_t max_values = 500'000;
constexpr std::size_t max_kept_bytes = 1 << 20;  // of a text whose reader serves the next one
constexpr std::size_t chunk_bytes = 32 * 1024;
constexpr std::size_t few_members = 12;

static_assert(document::spare_bytes >= simdjson::SIMDJSON_PADDING);

/// Memory for what lives as long as a document, most of it kept for the next one.
class arena {
 public:
  template <class T>
  std::span<const T> copy(std::span<const T> all) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (all.empty()) return {};
    auto* const place = static_cast<T*>(take(all.size_bytes()));
    std::memcpy(static_cast<void*>(place), all.data(), all.size_bytes());
    return {place, all.size()};
  }
  /// What clear() leaves.
  std::size_t kept_bytes() const { return chunks_.empty() ? 0 : chunks_[0].size; }
  void clear() {
    if (chunks_.size() > 1) chunks_.resize(1);
    left_ = chunks_.empty() ? 0 : chunks_[0].size;
    next_ = chunks_.empty() ? nullptr : chunks_[0].bytes.get();
  }

 private:
  struct chunk {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t size;
  };

  void* take(std::size_t bytes) {
    if (bytes > left_) {
      const auto size = std::max(bytes, chunks_.empty() ? chunk_bytes : 2 * chunks_.back().size);
      chunks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
      next_ = chunks_.back().bytes.get();
      left_ = size;
    }
    left_ -= bytes;
    return std::exchange(next_, next_ + bytes);
  }

  std::vector<chunk> chunks_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
};

void refuse_twice(std::span<const value::member> members) {
  const auto refuse_key = [](std::string_view key) {
    refuse("the key " + shown(key) + " is there twice");
  };
  if (members.size() <= few_members) {
    for (std::size_t i = 1; i < members.size(); ++i) {
      for (std::size_t before = 0; before < i; ++before) {
        if (members[before].key == members[i].key) refuse_key(members[i].key);
      }
    }
    return;
  }
  std::vector<std::string_view> keys;
  keys.reserve(members.size());
  for (const auto& each : members) keys.push_back(each.key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice != keys.end()) refuse_key(*twice);
}

}  // namespace

value::value(std::span<const member> members)
    : kind_(kind::object), size_(members.size()), members_(members.data()) {}

bool value::is(int number) const {
  if (kind_ == kind::number) return number_ == static_cast<double>(number);
  return kind_ == kind::integer && integer_ == number;
}

std::optional<std::int64_t> value::integer() const {
  if (kind_ == kind::integer) return integer_;
  return std::nullopt;
}

std::span<const value> value::elements() const {
  return is_array() ? std::span(elements_, size_) : std::span<const value>();
}

std::span<const value::member> value::members() const {
  return is_object() ? std::span(members_, size_) : std::span<const member>();
}

const value* value::find(std::string_view key) const {
  for (const auto& each : members()) {
    if (each.key == key) return &each.of;
  }
  return nullptr;
}

nlohmann::json value::to_json() const {
  switch (kind_) {
    case kind::null:
      break;
    case kind::boolean:
      return truth_;
    case kind::integer:
      return integer_;
    case kind::unsigned_:
      return unsigned_value_;
    case kind::number:
      return number_;
    case kind::string:
      return text();
    case kind::array: {
      nlohmann::json::array_t all;
      all.reserve(size_);
      for (const auto& each : elements()) all.push_back(each.to_json());
      return all;
    }
    case kind::object: {
      nlohmann::json::object_t all;
      for (const auto& [key, each] : members()) all.emplace(key, each.to_json());
      return all;
    }
  }
  return nullptr;
}

[[noreturn]] void refuse_text(simdjson::error_code why, std::string_view text) {
  switch (why) {
    case simdjson::DEPTH_ERROR:
      refuse("the body is nested too deeply");
    case simdjson::NUMBER_ERROR:
      refuse("the body has a number that is none, or that 64 bits do not hold");
    case simdjson::UTF8_ERROR:
      refuse("the body must be a JSON object in UTF-8, and is not valid UTF-8");
    case simdjson::EMPTY:
      refuse("the body must be a JSON object, and is empty");
    case simdjson::STRING_ERROR:
    case simdjson::UNESCAPED_CHARS:
    case simdjson::UNCLOSED_STRING:
      refuse(
          "the body must be a JSON object, and is not JSON: a string does not end, or has an "
          "escape or a control character that JSON does not have");
    default:
      break;
  }
  if (text.starts_with("\xEF\xBB\xBF")) {
    refuse("the body must be a JSON object, and begins with a byte order mark");
  }
  refuse(
      "the body must be a JSON object, and is not JSON: look for a comma, a bracket or a key "
      "that is missing or too many, and for words that are no values (NaN, None)");
}

class document::reader {
 public:
  value read(std::string_view text, std::size_t room) {
    simdjson::dom::element root;
    const bool copies = room < simdjson::SIMDJSON_PADDING;
    const auto failed = parser_.parse(text.data(), text.size(), copies).get(root);
    if (failed) refuse_text(failed, text);
    if (!root.is_object()) refuse("the body must be a JSON object, and is another JSON value");
    count_ = 0;
    return built(root, 0);
  }
  void clear() {
    arena_.clear();
    values_.clear();
    members_.clear();
  }
  bool is_worth_keeping() const {
    const auto scratch =
        values_.capacity() * sizeof(value) + members_.capacity() * sizeof(value::member);
    return parser_.capacity() <= max_kept_bytes && scratch <= max_kept_bytes &&
           arena_.kept_bytes() <= max_kept_bytes;
  }

 private:
  value built(const simdjson::dom::element& from, std::size_t depth) {
    if (++count_ > max_values) {
      refuse("the body has more than " + std::to_string(max_values) +
             " values (texts, numbers, lists, objects, …), which is more than a model reads");
    }
    using simdjson::dom::element_type;
    switch (from.type()) {
      case element_type::OBJECT: {
        check_depth(depth);
        const auto begin = members_.size();
        for (const auto& [key, each] : simdjson::dom::object(from)) {
          const auto inner = built(each, depth + 1);
          members_.push_back({key, inner});
        }
        const auto all = std::span<const value::member>(members_).subspan(begin);
        refuse_twice(all);
        const value made(arena_.copy(all));
        members_.resize(begin);
        return made;
      }
      case element_type::ARRAY: {
        check_depth(depth);
        const auto begin = values_.size();
        for (const auto& each : simdjson::dom::array(from)) {
          const auto inner = built(each, depth + 1);
          values_.push_back(inner);
        }
        const value made(arena_.copy(std::span<const value>(values_).subspan(begin)));
        values_.resize(begin);
        return made;
      }
      case element_type::STRING:
        return value(std::string_view(from));
      case element_type::INT64:
        return value(std::int64_t(from));
      case element_type::UINT64:
        return value(std::uint64_t(from));
      case element_type::DOUBLE:
        return value(double(from));
      case element_type::BOOL:
        return value(bool(from));
      case element_type::NULL_VALUE:
        break;
    }
    return {};
  }
  static void check_depth(std::size_t depth) {
    if (depth == max_depth) refuse("the body is nested too deeply");
  }

  simdjson::dom::parser parser_;
  arena arena_;
  std::size_t count_ = 0;      // of the values of this text
  std::vector<value> values_;  // of arrays that are being read, and so the next
  std::vector<value::member> members_;

 public:
  /// The one that the next document of this thread takes, if there is one.
  static std::unique_ptr<reader>& spare() {
    static thread_local std::unique_ptr<reader> one;
    return one;
  }
};

document::document(std::string_view text, std::size_t room) {
  // Taken for the end of the text here, and perhaps not by the next reader.
  if (text.find('\0') != text.npos) refuse("the body has a NUL byte");
  reader_ = std::move(reader::spare());
  if (!reader_) reader_ = std::make_unique<reader>();
  root_ = reader_->read(text, room);
}

document::~document() {
  if (!reader_->is_worth_keeping()) return;
  reader_->clear();
  reader::spare() = std::move(reader_);
}

}  // namespace germline::worker::strict
