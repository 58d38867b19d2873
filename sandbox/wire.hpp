// wire: how bounded messages between client, zygote, supervisor and init are laid out: integers in
// the machine's order (both ends are one machine), byte strings behind a 32-bit length. A reader
// never reads past its bytes: after the first fault every value is empty and ok() is false.
// Plain values, no thread affinity. Used by the static init too: nothing but the standard library.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace germline::wire {

/// Longest message on any of the sockets. One message is one datagram.
constexpr std::size_t message_bytes_max = 192 * 1024;
/// Most descriptors that go with one message.
constexpr std::size_t fds_max = 4;
/// Most strings in one list (argv, env).
constexpr std::size_t list_max = 4096;

class writer {
 public:
  writer& u8(std::uint8_t value) { return raw(&value, sizeof value); }
  writer& u32(std::uint32_t value) { return raw(&value, sizeof value); }
  writer& i64(std::int64_t value) { return raw(&value, sizeof value); }
  writer& text(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
    return *this;
  }
  writer& list(const std::vector<std::string>& values) {
    u32(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) text(value);
    return *this;
  }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  writer& raw(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    return *this;
  }
  std::string bytes_;
};

class reader {
 public:
  explicit reader(std::string_view bytes) : bytes_(bytes) {}

  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::int64_t i64() { return number<std::int64_t>(); }
  std::string text() {
    const std::size_t size = u32();
    if (!ok_ || size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }
  std::vector<std::string> list() {
    const std::size_t count = u32();
    std::vector<std::string> values;
    if (count > list_max) ok_ = false;
    for (std::size_t i = 0; ok_ && i < count; ++i) values.push_back(text());
    return values;
  }
  /// Whether all was well so far.
  bool ok() const noexcept { return ok_; }
  /// Whether all was well and nothing is left over.
  bool finished() const noexcept { return ok_ && bytes_.empty(); }

 private:
  template <class T>
  T number() {
    T value{};
    if (!ok_ || bytes_.size() < sizeof value) {
      ok_ = false;
      return T{};
    }
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace germline::wire
