// germline-importer: one import. Reads the frames of wire.hpp from standard input until its end and
// writes the answer to standard output. It opens no file and takes no argument; any that is given
// is not looked at. Ends 0 with an answer, 1 without. A crash is a refusal to whoever runs it.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "worker/importer/import.hpp"
#include "worker/importer/wire.hpp"

namespace {

using namespace germline;
using namespace germline::worker;

constexpr rlim_t memory_bytes_max = rlim_t{6} << 30;
constexpr rlim_t cpu_seconds_max = 120;
constexpr std::size_t input_bytes_max = 2 * import_pack_bytes_max + import_json_bytes_max + 64;

void lower_limit(int which, rlim_t most) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource>(which), &now) != 0) return;
  now.rlim_max = now.rlim_max == RLIM_INFINITY ? most : std::min(now.rlim_max, most);
  now.rlim_cur = now.rlim_max;
  ::setrlimit(static_cast<__rlimit_resource>(which), &now);
}

bool read_all(std::string& bytes) {
  char buffer[65'536];
  for (;;) {
    const auto got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got == 0) return true;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 || bytes.size() + static_cast<std::size_t>(got) > input_bytes_max) return false;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
}

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto put = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

import_output answer(std::string_view bytes) {
  const auto failed = [](const error& why) {
    import_output out;
    out.verdict = import_verdict::error;
    out.details = why.message().substr(0, 4'096);
    return out;
  };
  const auto input = decode_input(bytes);
  if (!input) return failed(input.error());
  auto output = import_candidate(input->job, input->parent_pack, input->candidate_pack);
  return output ? std::move(*output) : failed(output.error());
}

}  // namespace

int main() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  lower_limit(RLIMIT_AS, memory_bytes_max);
#endif
  lower_limit(RLIMIT_CPU, cpu_seconds_max);
  lower_limit(RLIMIT_CORE, 0);
  lower_limit(RLIMIT_NOFILE, 16);
  try {
    std::string bytes;
    if (!read_all(bytes)) {
      std::fputs("germline-importer: the input could not be read, or is too long\n", stderr);
      return 1;
    }
    return write_all(encode_output(answer(bytes))) ? 0 : 1;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "germline-importer: %s\n", failure.what());
    return 1;
  }
}
