#include "worker/gateway/secret_filter.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace germline::worker {
namespace {

constexpr std::string_view mark = "[redacted]";
constexpr std::size_t min_secret_bytes = 16;  // "EMPTY" and "none" are no secrets

constexpr std::size_t most_shown_bytes = 8;  // of a key's beginning
constexpr std::size_t longest_escape = 6;    // \u0073

enum class fit { no, begun, whole };  // begun: the text ends before it can be told
struct match {
  fit how = fit::no;
  std::size_t bytes = 0;  // whole
};

/// Whether `text` begins with `c`, as it is or as JSON may write it.
match match_one(std::string_view text, char c) {
  if (text.empty()) return {fit::begun};
  if (text[0] == c) return {fit::whole, 1};
  if (text[0] != '\\') return {};
  if (text.size() == 1) return {fit::begun};
  if (text[1] == c && (c == '/' || c == '"')) return {fit::whole, 2};
  constexpr std::string_view digits = "0123456789abcdef";
  const auto code = static_cast<unsigned char>(c);
  const std::array<char, longest_escape> escape = {
      '\\', 'u', '0', '0', digits[code >> 4], digits[code & 15]};
  for (std::size_t i = 1; i < escape.size(); ++i) {
    if (i == text.size()) return {fit::begun};
    const char small =
        i > 1 && text[i] >= 'A' && text[i] <= 'F' ? static_cast<char>(text[i] | 0x20) : text[i];
    if (small != escape[i]) return {};
  }
  return {fit::whole, escape.size()};
}

match match_all(std::string_view text, std::string_view secret) {
  std::size_t at = 0;
  for (const char c : secret) {
    const auto one = match_one(text.substr(at), c);
    if (one.how != fit::whole) return one;
    at += one.bytes;
  }
  return {fit::whole, at};
}

struct span {
  std::size_t begin = 0;
  std::size_t bytes = 0;
};

std::optional<span> find_plain(std::string_view text, std::string_view secret, std::size_t from) {
  const auto at = text.find(secret, from);
  return at == text.npos ? std::nullopt : std::optional(span{at, secret.size()});
}

std::optional<span> find_any(std::string_view text, std::string_view secret, std::size_t from) {
  const std::array<char, 2> firsts = {secret[0], '\\'};
  const std::string_view beginnings(firsts.data(), firsts.size());
  for (auto at = text.find_first_of(beginnings, from); at != text.npos;
       at = text.find_first_of(beginnings, at + 1)) {
    const auto found = match_all(text.substr(at), secret);
    if (found.how == fit::whole) return span{at, found.bytes};
  }
  return std::nullopt;
}

void replace_all(std::string& text, const std::string& secret) {
  if (secret.empty()) return;
  const bool escapes = text.find("\\u00") != text.npos || text.find("\\/") != text.npos;
  const auto find = escapes || secret.find('"') != secret.npos ? find_any : find_plain;
  auto next = find(text, secret, 0);
  if (!next) return;
  std::string clean;
  std::size_t done = 0;
  const auto ends_escaping = [&] {
    const auto before = clean.find_last_not_of('\\');
    return (clean.size() - (before == clean.npos ? 0 : before + 1)) % 2 == 1;
  };
  for (; next; next = find(text, secret, done)) {
    clean.append(text, done, next->begin - done);
    // The escape's own backslash was escaped: what is before the mark must not escape that.
    if (text[next->begin] == '\\' && ends_escaping()) clean.pop_back();
    clean.append(mark);
    done = next->begin + next->bytes;
  }
  text = clean.append(text, done);
}

/// The length of the longest end of `text` with which `secret` may begin.
std::size_t begun(std::string_view text, std::string_view secret) {
  const auto escaped = longest_escape * secret.size() - 1;
  const auto escape = text.rfind('\\');
  const bool may_escape = escape != text.npos && text.size() - escape <= escaped;
  auto size = std::min(text.size(), may_escape ? escaped : secret.size() - 1);
  for (; size > 0; --size) {
    const auto end = text.substr(text.size() - size);
    if (match_all(end, secret).how == fit::begun) return size;
  }
  return 0;
}

}  // namespace

std::vector<std::string> filtered_secrets(const std::vector<std::string>& keys) {
  std::vector<std::string> secrets;
  for (const auto& key : keys) {
    if (key.size() < min_secret_bytes) continue;
    secrets.push_back(key);
    if (key.find('\\') == key.npos) continue;
    const auto escaped =
        nlohmann::json(key).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    secrets.push_back(escaped.substr(1, escaped.size() - 2));
  }
  // One may be the beginning of another.
  std::ranges::stable_sort(secrets, std::greater(), &std::string::size);
  return secrets;
}

void secret_filter::feed(std::string& bytes) {
  if (!held_.empty()) bytes.insert(0, std::exchange(held_, {}));
  for (const auto& secret : secrets_) replace_all(bytes, secret);
  std::size_t held = 0;
  for (const auto& secret : secrets_) held = std::max(held, begun(bytes, secret));
  held_ = bytes.substr(bytes.size() - held);
  bytes.resize(bytes.size() - held);
}

std::string secret_filter::rest() {
  auto rest = std::exchange(held_, {});
  return rest.size() < most_shown_bytes ? rest : std::string(mark);
}

std::string without_secrets(std::string_view text, const std::vector<std::string>& secrets) {
  std::string clean(text);
  for (const auto& secret : secrets) replace_all(clean, secret);
  return clean;
}

}  // namespace germline::worker
