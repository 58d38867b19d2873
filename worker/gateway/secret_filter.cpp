#include "worker/gateway/secret_filter.hpp"

#include <algorithm>
#include <utility>

namespace germline::worker {
namespace {

constexpr std::string_view mark = "[redacted]";
constexpr std::size_t min_secret_bytes = 16;  // "EMPTY" and "none" are no secrets

void replace_all(std::string& text, const std::string& secret) {
  auto at = text.find(secret);
  if (at == text.npos) return;
  std::string clean;
  std::size_t done = 0;
  for (; at != text.npos; at = text.find(secret, done)) {
    clean.append(text, done, at - done).append(mark);
    done = at + secret.size();
  }
  text = clean.append(text, done);
}

/// The length of the longest end of `text` with which `secret` begins.
std::size_t begun(std::string_view text, std::string_view secret) {
  for (auto size = std::min(text.size(), secret.size() - 1); size > 0; --size) {
    if (text.ends_with(secret.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

std::vector<std::string> filtered_secrets(const std::vector<std::string>& keys) {
  std::vector<std::string> secrets;
  for (const auto& key : keys) {
    if (key.size() < min_secret_bytes) continue;
    secrets.push_back(key);
    std::string escaped;
    for (const char c : key) escaped += c == '/' ? "\\/" : std::string(1, c);
    if (escaped != key) secrets.push_back(escaped);
  }
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
  return std::exchange(held_, {});
}

std::string without_secrets(std::string_view text, const std::vector<std::string>& secrets) {
  std::string clean(text);
  for (const auto& secret : secrets) replace_all(clean, secret);
  return clean;
}

}  // namespace germline::worker
