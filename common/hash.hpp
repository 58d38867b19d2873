// SHA-256 over bytes, by OpenSSL. Digests are written as 64 lower-case hex digits.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace germline {

/// Incremental SHA-256. One thread at a time.
class sha256 {
 public:
  sha256();
  ~sha256();
  sha256(sha256&&) noexcept;
  sha256& operator=(sha256&&) noexcept;

  void update(std::string_view bytes);
  /// Ends the computation; the object must not be used afterwards.
  std::string finish_hex();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

std::string sha256_hex(std::string_view bytes);
/// Whether it is written as a digest is.
bool is_sha256(std::string_view text);

/// `bytes` as lower-case hex.
std::string to_hex(std::span<const unsigned char> bytes);
std::string to_hex(std::string_view bytes);
/// What to_hex gave; nothing where it is no lower-case hex of whole bytes.
std::optional<std::string> from_hex(std::string_view text);

}  // namespace germline
