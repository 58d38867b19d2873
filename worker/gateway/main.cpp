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

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "common/log.hpp"
#include "worker/gateway/gateway.hpp"
#include "worker/gateway/http_upstream.hpp"
#include "worker/gateway/metrics.hpp"
#include "worker/gateway/plain_text.hpp"
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

error bad_arguments(const std::string& why) {
  return {error_code::invalid_argument,
          why +
              "; usage: germline-gateway --config FILE --control-fd N [--key-fd N] [--journals "
              "DIRECTORY], as a worker or `germline gateway` starts it"};
}

/// An open descriptor's number.
result<int> read_descriptor(const std::string& name, std::string_view text) {
  int number = -1;
  const auto* const end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, number);
  if (failed != std::errc() || at != end || number < 0) {
    return bad_arguments(name + " '" + std::string(text) + "' is no number of a descriptor");
  }
  if (::fcntl(number, F_GETFD) < 0) {
    return bad_arguments(name + " " + std::to_string(number) + " is no open descriptor");
  }
  return number;
}

result<arguments> read_arguments(int argc, char** argv) {
  arguments read;
  std::set<std::string> seen;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name != "--config" && name != "--journals" && name != "--control-fd" &&
        name != "--key-fd") {
      return bad_arguments("'" + name + "' is no flag");
    }
    if (!seen.insert(name).second) return bad_arguments(name + " is there twice");
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (value.empty()) return bad_arguments(name + " has no value");
    if (name == "--config") {
      read.config_file = value;
    } else if (name == "--journals") {
      read.journals_directory = value;
    } else {
      auto& into = name == "--key-fd" ? read.key_fd : read.control_fd;
      GERMLINE_TRY_ASSIGN(into, read_descriptor(name, value));
    }
  }
  if (read.config_file.empty()) return bad_arguments("--config is missing");
  if (read.control_fd < 0) return bad_arguments("--control-fd is missing");
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
    if (!value) {
      return error(error_code::not_found, "the environment has no " + one.key_env +
                                              ", the key_env of '" + one.name +
                                              "'; set it to the key");
    }
    auto& key = keys[one.key_env] = value;
    while (key.ends_with('\n')) key.pop_back();
    ::explicit_bzero(value, std::strlen(value));  // it shows in /proc/PID/environ otherwise
    ::unsetenv(one.key_env.c_str());
  }
  return keys;
}

/// Those that are there; of those that are not the names, into `missing`.
result<std::vector<std::string>> keys_of(const gateway_config& config, key_map& keys,
                                         std::set<std::string>& missing) {
  std::vector<std::string> all;
  for (const auto& one : config.upstreams) {
    if (!one.replay.empty()) continue;
    const auto& key = keys[one.key_env];
    if (key.empty() && !one.key_env.empty()) {
      log_warning("the upstream '{}' has no key: {} is not set", one.name, one.key_env);
      missing.insert(one.key_env);
    }
    const auto from = one.key_env.empty() ? "" : " (" + one.key_env + " of the environment)";
    GERMLINE_TRY(check_secret(key, "the API key of '" + one.name + "'" + from));
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
  GERMLINE_TRY_ASSIGN(const auto all_keys, keys_of(config, keys, missing_keys));
  const auto secrets = filtered_secrets(all_keys);
  replay_upstream* recorded = nullptr;
  GERMLINE_TRY_ASSIGN(const auto upstreams,
                      make_upstreams(context, config, keys, secrets, recorded));
  upstream_roster roster(config.upstreams, time, random);
  transcript_writer transcripts;
  byte_pool bodies(config.max_held_bytes_in_all);
  heap_trimmer trimmer(context, bodies, [&] { return transcripts.is_writing(); });
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
    log_info("upstream '{}': {}", one.name, one.replay.empty() ? one.url : one.replay);
  }
  context.run();
  if (!transcripts.finish(longest_last_write)) log_error("transcripts are not written whole");
  // Coroutines that never ended refer to what is about to be destroyed: end without unwinding.
  ::_exit(0);
}

}  // namespace

// Exit codes: what is refused will be again, other things may pass, such as a port that another
// gateway still has.
constexpr int refused = 1;
constexpr int may_pass = 3;

int main(int argc, char** argv) {
  // Large blocks go back to the system when they are freed, whichever thread did; else the C
  // library takes ever larger ones for usual, and keeps as much.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  init_logging("gateway");
  try {
    if (const auto ran = run(argc, argv); !ran) {
      log_error("{}", ran.error().message());
      return ran.error().code() == error_code::unavailable ? may_pass : refused;
    }
    return 0;
  } catch (const std::exception& failure) {
    log_error("{}", failure.what());
    return may_pass;
  }
}
