// germline-zygote: wiring only. Started by the worker with its socket as descriptor 3, and as 4 a
// pipe that nobody writes to and that the worker holds open.
#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "sandbox/launcher/zygote.hpp"

namespace {

bool parse(std::string_view text, std::uint32_t& value) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc{} && end == text.data() + text.size();
}

bool take_option(germline::zygote_options& options, std::string_view name, std::string_view value) {
  if (name == "--init") return !(options.init_path = value).empty();
  if (name == "--as-candidate") return !(options.as_candidate_path = value).empty();
  if (name == "--exports") return (options.exports_root = value).data() != nullptr;
  if (name == "--instance") return !(options.instance = value).empty();
  if (name == "--slots") return parse(value, options.slots);
  if (name == "--uid-base") return parse(value, options.uid_base);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  germline::zygote_options options;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 >= argc || !take_option(options, argv[i], argv[i + 1])) {
      std::fprintf(stderr, "germline-zygote: bad option '%s'; it is started by the worker\n",
                   argv[i]);
      return 2;
    }
  }
  if (::fcntl(3, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(4, F_SETFD, FD_CLOEXEC) != 0) {
    std::fprintf(stderr,
                 "germline-zygote: descriptors 3 and 4 are missing; it is started by the worker\n");
    return 2;
  }
  ::close_range(5, ~0U, 0);
  const auto done = germline::run_zygote(options, germline::unique_fd(3), germline::unique_fd(4));
  if (done) return 0;
  std::fprintf(stderr, "germline-zygote: %s\n", done.error().message().c_str());
  return 1;
}
