#include "sandbox/launcher/text_file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "common/unique_fd.hpp"

namespace germline {

result<std::string> read_text_file(const std::string& path) {
  constexpr std::size_t bytes_max = 4 << 20;
  unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error("opening " + path, errno);
  std::string text;
  char buffer[16384];
  while (text.size() < bytes_max) {
    const auto size = ::read(file.get(), buffer, sizeof buffer);
    if (size == 0) return text;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_error("reading " + path, errno);
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return error(error_code::resource_exhausted, path + " is too long");
}

result<void> write_text_file(const std::string& path, std::string_view text) {
  unique_fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno_error("opening " + path, errno);
  const auto size = ::write(file.get(), text.data(), text.size());
  if (size < 0) return errno_error("writing " + path, errno);
  return {};
}

long long keyed_number(std::string_view text, std::string_view key) {
  std::size_t start = 0;
  while (start < text.size()) {
    const auto end = std::min(text.find('\n', start), text.size());
    const auto line = text.substr(start, end - start);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      long long value = 0;
      std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
      return value;
    }
    start = end + 1;
  }
  return 0;
}

}  // namespace germline
