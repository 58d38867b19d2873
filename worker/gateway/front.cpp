#include "worker/gateway/front.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/ids.hpp"
#include "common/log.hpp"
#include "worker/gateway/api_keys.hpp"
#include "worker/gateway/client.hpp"
#include "worker/gateway/prices.hpp"
#include "worker/gateway/upstream_roster.hpp"

namespace germline::worker {
namespace {

error wrong(const std::string& why) {
  return {error_code::invalid_argument, why};
}

/// Every upstream that names a key gets one.
result<void> check_keys(const gateway_config& config, const std::vector<gateway_key>& keys,
                        const std::string& file) {
  for (const auto& one : config.upstreams) {
    const bool there =
        one.key_env.empty() || std::any_of(keys.begin(), keys.end(), [&](const gateway_key& key) {
          return key.name == one.key_env && !key.key.empty();
        });
    if (there) continue;
    const bool is_empty = std::any_of(
        keys.begin(), keys.end(), [&](const gateway_key& key) { return key.name == one.key_env; });
    return wrong((is_empty ? "the environment has an empty " : "the environment has no ") +
                 one.key_env + ", which " + file + " names as key_env of '" + one.name +
                 "'; set it to the key");
  }
  return {};
}

// What the gateway itself would refuse as it opens the door is told before it is started: there it
// is a refusal, here a mistake in the configuration.

result<void> check_served(const gateway_config& config, const front_spec& spec, const clock& time,
                          random_source& random) {
  if (upstream_roster(config.upstreams, time, random).serves(spec.model)) return {};
  std::string known;
  for (const auto& one : config.upstreams) {
    for (const auto& pattern : one.models) known += (known.empty() ? "'" : ", '") + pattern + "'";
  }
  return wrong("no upstream in " + spec.config_file + " serves the model '" + spec.model +
               "': their models are " + known +
               "; add it to those of one, or leave models out there, which is all");
}

/// The gateway makes the last folder of the path, and no other.
result<void> check_transcripts(const gateway_config& config, const front_spec& spec) {
  namespace fs = std::filesystem;
  auto folder = config.transcripts_directory;
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  if (folder.empty()) return {};
  const auto why = spec.config_file + ": [transcripts] directory " + folder;
  std::error_code failed;
  const auto there = fs::status(folder, failed).type();
  // Where it may not be looked at, the gateway, which is another account as root, may see more.
  if (there == fs::file_type::directory || there == fs::file_type::none) return {};
  if (there != fs::file_type::not_found) return wrong(why + " is no folder: name one");
  const auto above = fs::path(folder).parent_path();
  const bool is_link = fs::is_symlink(folder, failed);
  if (!is_link && fs::is_directory(above, failed)) return {};
  if (!is_link && fs::exists(above, failed)) {
    return wrong(why + " cannot be: " + above.string() + " is no folder");
  }
  return error(error_code::not_found, why +
                                          (is_link ? " is a link to what is not there"
                                                   : " is not there, nor is " + above.string()) +
                                          ": make it, or name another folder");
}

result<void> check_model(const gateway_config& config, const front_spec& spec, const clock& time) {
  GERMLINE_TRY_ASSIGN(const auto prices, price_table::load(config.prices_file));
  if (prices.find(spec.model).at(time.utc_ms())) return {};
  return wrong("the model '" + spec.model + "' has no price in " + config.prices_file +
               ", and what cannot be priced is not asked; give it a row there that is in effect");
}

/// Returns well when a signal came.
result<void> wait_for_end(const sigset_t& ends, int gone) {
  const unique_fd signals(::signalfd(-1, &ends, SFD_CLOEXEC));
  if (!signals) return errno_error("signalfd", errno);
  pollfd watched[] = {{signals.get(), POLLIN, 0}, {gone, POLLIN, 0}};
  while (::poll(watched, std::size(watched), -1) < 0) {
    if (errno != EINTR) return errno_error("poll", errno);
  }
  if (watched[1].revents == 0) return {};
  return error(error_code::internal, "the gateway ended by itself; its log above says why");
}

}  // namespace

result<gateway_account> run_front(const front_spec& spec, const clock& time, random_source& random,
                                  const std::function<void(const front_door&)>& opened) {
  GERMLINE_TRY_ASSIGN(const auto config, load_gateway_config(spec.config_file));
  GERMLINE_TRY(check_served(config, spec, time, random));
  GERMLINE_TRY(check_model(config, spec, time));
  GERMLINE_TRY(check_transcripts(config, spec));
  gateway_spec start;
  start.binary = spec.binary;
  start.config_file = spec.config_file;
  start.uid = spec.uid;
  start.gid = spec.gid;
  GERMLINE_TRY_ASSIGN(start.keys, take_api_keys(config));
  GERMLINE_TRY(check_keys(config, start.keys, spec.config_file));
  GERMLINE_TRY_ASSIGN(auto listener, listen_on_loopback(spec.listen));

  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);  // before the client's thread starts
  const unique_fd gone(::eventfd(0, EFD_CLOEXEC));
  if (!gone) return errno_error("eventfd", errno);
  gateway_callbacks callbacks;
  callbacks.on_gone = [fd = gone.get()] { ::eventfd_write(fd, 1); };
  callbacks.on_usage = [](const std::string&, const gateway_usage&, const std::string& problem) {
    if (!problem.empty()) log_warning("a request failed: {}", problem);
  };
  const auto started = gateway_client::start(std::move(start), std::move(callbacks));
  if (!started) return error(error_code::internal, started.error().message());
  const auto& client = *started;
  gateway_open door;
  door.attempt_id = attempt_id::make(time, random).str();
  door.token = spec.token;
  door.open_to_anyone = spec.token.empty();
  door.model = spec.model;
  door.deadline_boot_ms = INT64_MAX;
  door.limits = spec.limits;
  door.listener = std::move(listener.socket);
  const auto id = door.attempt_id;
  GERMLINE_TRY(client->open(std::move(door)));
  const auto& folder = config.transcripts_directory;
  opened({"http://" + listener.at.text(), folder.empty() ? "" : folder + "/" + id + ".jsonl"});
  GERMLINE_TRY(wait_for_end(ends, gone.get()));
  return client->close(id);
}

}  // namespace germline::worker
