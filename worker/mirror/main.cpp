// germline-mirror: a worker's way to package mirrors, for fetches of dependencies alone. Holds no
// key. Started by the node (client.hpp), never by hand.
// Usage: germline-mirror --control-fd N --mirrors JSON
#include <unistd.h>

#include <charconv>
#include <cstring>

#include <curl/curl.h>

#include "common/log.hpp"
#include "worker/gateway/spawn.hpp"
#include "worker/mirror/process.hpp"

namespace {

using namespace germline;
using namespace germline::worker;

struct arguments {
  int control_fd = -1;
  std::string mirrors;
};

result<arguments> read_arguments(int argc, char** argv) {
  arguments read;
  const error usage(error_code::invalid_argument,
                    "usage: germline-mirror --control-fd N --mirrors JSON");
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--mirrors") {
      read.mirrors = value;
    } else if (name != "--control-fd" ||
               std::from_chars(value, value + std::strlen(value), read.control_fd).ec !=
                   std::errc()) {
      return usage;
    }
  }
  if (argc % 2 == 0 || read.control_fd < 0 || read.mirrors.empty()) return usage;
  return read;
}

result<void> run(int argc, char** argv) {
  GERMLINE_TRY_ASSIGN(const auto given, read_arguments(argc, argv));
  GERMLINE_TRY(harden_helper("germline-mirror"));
  if (::curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return error(error_code::internal, "libcurl does not start");
  }
  GERMLINE_TRY_ASSIGN(auto mirrors, mirrors_from_json(given.mirrors));
  // As the account that it has: the worker that read them first may have another.
  GERMLINE_TRY(check_ca_files(mirrors));
  for (const auto& one : mirrors) log_info("serving {} from {}", one.name, one.url);
  GERMLINE_TRY_ASSIGN(auto routes, mirror_routes::make(std::move(mirrors)));
  static const system_clock_source time;
  // Never destroyed: threads of connections may outlive it by a moment.
  auto* const process = new mirror_process(std::move(routes), time, unique_fd(given.control_fd));
  process->serve();
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  init_logging("mirror");
  try {
    if (const auto ran = run(argc, argv); !ran) {
      log_error("{}", ran.error().message());
      return 1;
    }
    return 0;
  } catch (const std::exception& failure) {
    log_error("{}", failure.what());
    return 1;
  }
}
