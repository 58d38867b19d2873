// germline-gateway: the trusted LLM endpoint of a worker. Started by the node, or by
// `germline gateway` (front.hpp), never by hand.
// Usage: germline-gateway --config FILE --control-fd N [--key-fd N] [--journals DIRECTORY]
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include <unistd.h>

#include "common/log.hpp"
#include "worker/gateway/gateway.hpp"
#include "worker/gateway/http_upstream.hpp"
#include "worker/gateway/metrics.hpp"
#include "worker/gateway/replay_upstream.hpp"
#include "worker/gateway/secret_filter.hpp"
#include "worker/gateway/spawn.hpp"

namespace {

using namespace germline;
using namespace germline::worker;

// Less than the node waits before it kills (client.cpp).
constexpr std::chrono::milliseconds longest_last_write(1500);

struct arguments {
  std::string config_file;
  std::string journals_directory;  // of accounts; empty: none are kept
  int control_fd = -1;
  int key_fd = -1;
};

result<arguments> read_arguments(int argc, char** argv) {
  arguments read;
  const error usage(
      error_code::invalid_argument,
      "usage: germline-gateway --config FILE --control-fd N [--key-fd N] [--journals DIRECTORY]");
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    const auto number = [value](int& into) {
      return std::from_chars(value, value + std::strlen(value), into).ec == std::errc();
    };
    if (name == "--config") {
      read.config_file = value;
    } else if (name == "--journals") {
      read.journals_directory = value;
    } else if (!(name == "--control-fd" && number(read.control_fd)) &&
               !(name == "--key-fd" && number(read.key_fd))) {
      return usage;
    }
  }
  if (argc % 2 == 0 || read.config_file.empty() || read.control_fd < 0) return usage;
  return read;
}

using key_map = std::map<std::string, std::string>;  // by key_env

/// Lines "NAME=KEY", as client.cpp writes them.
result<key_map> read_key_pipe(int fd) {
  const unique_fd pipe(fd);
  std::string lines;
  char bytes[4096];
  ssize_t got = 0;
  while ((got = ::read(pipe.get(), bytes, sizeof bytes)) > 0) {
    lines.append(bytes, static_cast<std::size_t>(got));
  }
  ::explicit_bzero(bytes, sizeof bytes);
  if (got < 0) return errno_error("reading the API keys", errno);
  key_map keys;
  for (std::size_t at = 0; at < lines.size();) {
    const auto end = std::min(lines.find('\n', at), lines.size());
    const auto sign = std::min(lines.find('=', at), end);
    if (sign < end) keys[lines.substr(at, sign - at)] = lines.substr(sign + 1, end - sign - 1);
    at = end + 1;
  }
  ::explicit_bzero(lines.data(), lines.size());
  return keys;
}

result<key_map> take_environment_keys(const gateway_config& config) {
  key_map keys;
  for (const auto& one : config.upstreams) {
    if (one.key_env.empty() || keys.contains(one.key_env)) continue;
    char* value = std::getenv(one.key_env.c_str());
    if (!value) return error(error_code::not_found, "the environment has no " + one.key_env);
    auto& key = keys[one.key_env] = value;
    while (key.ends_with('\n')) key.pop_back();
    ::explicit_bzero(value, std::strlen(value));  // it shows in /proc/PID/environ otherwise
    ::unsetenv(one.key_env.c_str());
  }
  return keys;
}

/// Those that are there; of those that are not the names, into `missing`.
std::vector<std::string> keys_of(const gateway_config& config, key_map& keys,
                                 std::set<std::string>& missing) {
  std::vector<std::string> all;
  for (const auto& one : config.upstreams) {
    if (!one.replay.empty()) continue;
    const auto& key = keys[one.key_env];
    if (key.empty() && !one.key_env.empty()) {
      log_warning("the upstream '{}' has no key: {} is not set", one.name, one.key_env);
      missing.insert(one.key_env);
    }
    if (!key.empty()) all.push_back(key);
  }
  return all;
}

result<std::vector<std::unique_ptr<upstream>>> make_upstreams(
    boost::asio::io_context& context, const gateway_config& config, key_map& keys,
    const std::vector<std::string>& secrets, replay_upstream*& recorded) {
  std::vector<std::unique_ptr<upstream>> all;
  for (const auto& one : config.upstreams) {
    if (one.is_of_attempts) {
      auto of_attempts = replay_upstream::of_attempts(context, one.replay, secrets);
      recorded = of_attempts.get();
      all.push_back(std::move(of_attempts));
      continue;
    }
    GERMLINE_TRY_ASSIGN(
        auto made, one.replay.empty() ? http_upstream::make(context, one, config, keys[one.key_env])
                                      : replay_upstream::make(context, one, secrets));
    all.push_back(std::move(made));
  }
  return all;
}

result<void> run(int argc, char** argv) {
  GERMLINE_TRY_ASSIGN(const auto given, read_arguments(argc, argv));
  GERMLINE_TRY(harden_helper("germline-gatewa"));
  unique_fd control(given.control_fd);
  GERMLINE_TRY_ASSIGN(auto config, load_gateway_config(given.config_file));
  add_recorded_attempts(config);
  GERMLINE_TRY_ASSIGN(
      auto keys, given.key_fd >= 0 ? read_key_pipe(given.key_fd) : take_environment_keys(config));
  GERMLINE_TRY_ASSIGN(auto prices, price_table::load(config.prices_file));
  boost::asio::io_context context(1);
  system_clock_source time;
  system_random random;
  std::set<std::string> missing_keys;
  const auto all_keys = keys_of(config, keys, missing_keys);
  const auto secrets = filtered_secrets(all_keys);
  replay_upstream* recorded = nullptr;
  GERMLINE_TRY_ASSIGN(const auto upstreams,
                      make_upstreams(context, config, keys, secrets, recorded));
  upstream_roster roster(config.upstreams, time, random);
  transcript_writer transcripts;
  byte_pool bodies(config.max_held_bytes_in_all);
  heap_trimmer trimmer(context, [&] { return transcripts.is_writing(); });
  gateway_parts parts{context,   config,      time,   random,  roster,
                      upstreams, transcripts, bodies, trimmer, secrets,
                      recorded,  nullptr,     {},     {},      std::move(missing_keys)};
  if (!given.journals_directory.empty()) {
    parts.journals_directory = given.journals_directory;
    GERMLINE_TRY_ASSIGN(parts.boot_id, read_boot_id());
  }
  gateway_metrics metrics;
  if (config.metrics) {
    GERMLINE_TRY_ASSIGN(const auto address, metrics.listen(*config.metrics));
    log_info("metrics: http://{}/metrics", address);
    parts.metrics = &metrics;
  }
  gateway served(parts, std::move(prices), secrets, std::move(control));
  served.start();
  for (const auto& one : config.upstreams) {
    if (one.is_of_attempts) continue;
    log_info("serving {} ({})", one.replay.empty() ? one.url : one.replay, one.name);
  }
  context.run();
  if (!transcripts.finish(longest_last_write)) log_error("transcripts are not written whole");
  // Coroutines that never ended refer to what is about to be destroyed: end without unwinding.
  ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  init_logging("gateway");
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
