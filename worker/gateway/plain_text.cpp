#include "worker/gateway/plain_text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/unique_fd.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t most_bytes = 4 << 20;
constexpr std::size_t most_secret_bytes = 8'192;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
}

std::string name_of(char c) {
  if (c == ' ') return "a space";
  if (c == '\t') return "a tab";
  if (c == '\n') return "a line break";
  if (c == '\r') return "a carriage return (of a Windows line end)";
  return is_control(c) ? "a control character" : "something that is no ASCII";
}

}  // namespace

result<std::string> read_text_file(const std::string& path, const std::string& what) {
  // Not blocking: a pipe that nobody writes to would hold the start up.
  const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    const auto failed = access_error("reading " + what + " " + path, errno);
    return error(failed.code(), failed.message() + relative_hint(path));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return errno_error("looking at " + path, errno);
  if (S_ISDIR(status.st_mode)) {
    return error(error_code::invalid_argument,
                 what + " " + path + " is a folder, and no file: name a file in it");
  }
  if (!S_ISREG(status.st_mode)) {
    return error(error_code::invalid_argument,
                 what + " " + path +
                     " is a pipe or a device, and is read more than once: name a regular file");
  }
  std::string text;
  char bytes[16'384];
  for (ssize_t got = 0; (got = ::read(file.get(), bytes, sizeof bytes)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("reading " + what + " " + path, errno);
    text.append(bytes, static_cast<std::size_t>(got));
    if (text.size() > most_bytes) {
      return error(error_code::invalid_argument,
                   what + " " + path + " has more than 4 MiB: is it the right file?");
    }
  }
  return text;
}

error access_error(const std::string& doing, int failed) {
  auto why = errno_error(doing, failed);
  if (failed != EACCES && failed != EPERM) return why;
  return error(why.code(), why.message() + " (to uid " + std::to_string(::geteuid()) +
                               ", which this runs as; it must be let into the folders above, too)");
}

std::string relative_hint(const std::string& path) {
  if (path.starts_with('/')) return "";
  return " (a relative path begins at the folder where this was started)";
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, is_control);
}

bool has_outer_space(std::string_view text) {
  return text.starts_with(' ') || text.ends_with(' ');
}

result<void> check_secret(std::string_view secret, const std::string& what) {
  const auto bad = std::ranges::find_if(secret, [](char c) { return c <= ' ' || c > '~'; });
  const bool is_quoted = secret.size() > 1 && secret.front() == secret.back() &&
                         (secret.front() == '"' || secret.front() == '\'');
  if (is_quoted) {
    return error(error_code::invalid_argument, what + " stands in quotes; leave them out");
  }
  if (bad == secret.end() && secret.size() > most_secret_bytes) {
    return error(error_code::invalid_argument,
                 what + " has more than " + std::to_string(most_secret_bytes) + " characters");
  }
  if (bad == secret.end()) return {};
  return error(error_code::invalid_argument,
               what + " has " + name_of(*bad) + " as its character " +
                   std::to_string(bad - secret.begin() + 1) +
                   "; it must be one word of printable ASCII, without a space or a line break");
}

}  // namespace germline::worker
