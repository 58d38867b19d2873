#include "worker/node/identity.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "common/enrolment.hpp"
#include "common/grpc_tls.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/pki/authority.hpp"
#include "common/pki/credentials.hpp"
#include "common/pki/discover.hpp"
#include "common/pki/join_token.hpp"
#include "worker/node/service.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t look_ms = 10 * 60'000;
constexpr std::int64_t first_look_ms = 2'000;
constexpr std::int64_t warn_before_ms = 10 * pki::day_ms;

/// An id of its own making, kept in the state folder.
result<std::string> own_id(const worker_config& config, const clock& time) {
  if (!config.worker_id.empty()) return config.worker_id;
  const auto path = config.state_dir + "/worker_id";
  std::string id;
  if (std::ifstream in(path); in >> id) return id;
  system_random random;
  id = "wrk_" + make_uuid7_hex(time, random);
  std::ofstream out(path);
  out << id << '\n';
  if (!out.flush()) return error(error_code::internal, "writing " + path + " failed");
  return id;
}

/// A worker's credentials, whatever their dates.
result<pki::read_credentials_result> workers_own(const std::string& folder) {
  GERMLINE_TRY_ASSIGN(auto read, pki::read_credentials(folder));
  if (read.facts.whose.who == pki::role::worker) return read;
  return error(error_code::invalid_argument, "the certificate in " + folder + " is a " +
                                                 std::string(pki::to_string(read.facts.whose.who)) +
                                                 "'s, not a worker's");
}

/// Why the credentials in the folder cannot be used now.
result<pki::read_credentials_result> usable(const std::string& folder, const clock& time) {
  GERMLINE_TRY_ASSIGN(auto read, workers_own(folder));
  GERMLINE_TRY(pki::check_dates(read.facts, time.utc_ms()));
  return read;
}

/// Whether the authority that the token names has signed the certificate that is here.
bool is_of_tokens_authority(const pki::read_credentials_result& present, const std::string& token) {
  const auto said = pki::read_token(token);
  for (const auto& pem : pki::split_bundle(present.files.ca_pem)) {
    const auto print = pki::fingerprint(pem);
    const auto key = pki::key_id_of(pem);
    if (said && print && key && *print == said->ca_fingerprint) {
      return *key == present.facts.issuer_key;
    }
  }
  return false;
}

/// With the token, and in the place of what is in the worker's folder.
result<std::string> join(const worker_config& config, const clock& time) {
  const auto folder = tls_folder_of(config);
  const auto at = without_scheme(config.coordinator);
  auto made = enroll(config.coordinator, config.join_token, pki::role::worker);
  if (!made) return made.error().within("joining " + at);
  GERMLINE_TRY(pki::write_credentials(folder, *made));
  GERMLINE_TRY_ASSIGN(const auto fresh, usable(folder, time));
  log_info("enrolled at {} as {}", at, fresh.facts.whose.name);
  return fresh.facts.whose.name;
}

/// Where the worker has a certificate, and a token too: the token is used where the certificate
/// does not do any more, and only there, so that a token may stand in a unit file for good.
result<std::string> join_where_needed(const worker_config& config,
                                      const pki::read_credentials_result& present,
                                      const clock& time) {
  const auto& name = present.facts.whose.name;
  const auto looked = renew_credentials(config.coordinator, tls_folder_of(config), time);
  if (looked) {
    log_info("the join token was not needed: {} is still taken there as {}",
             without_scheme(config.coordinator), name);
    return name;
  }
  // A handshake that fails tells no reason. That it is another authority's by now may be one.
  const bool refused = looked.error().code() == error_code::permission_denied;
  if (!refused && is_of_tokens_authority(present, config.join_token)) return name;
  log_warning("{} does not take the certificate of {} ({}): joining with the token",
              without_scheme(config.coordinator), name, looked.error().message());
  auto joined = join(config, time);
  if (joined || refused) return joined;
  log_warning("{}; going on as {}", joined.error().message(), name);
  return name;
}

}  // namespace

std::string tls_folder_of(const worker_config& config) {
  return config.state_dir + (config.tls_dir.empty() ? "/tls" : "/tls-brought");
}

result<void> take_credentials_along(const worker_config& config) {
  if (config.tls_dir.empty() || !needs_tls(config.coordinator)) return {};
  GERMLINE_TRY_ASSIGN(const auto read, workers_own(config.tls_dir));
  return pki::write_credentials(tls_folder_of(config), read.files);
}

result<std::string> identify(const worker_config& config, const clock& time) {
  if (!needs_tls(config.coordinator)) return own_id(config, time);
  const auto folder = tls_folder_of(config);
  const auto present = usable(folder, time);
  const bool may_join = !config.join_token.empty() && config.tls_dir.empty();
  if (present && may_join) return join_where_needed(config, *present, time);
  if (present) return present->facts.whose.name;
  if (may_join) return join(config, time);
  return error(present.error().code(),
               present.error().message() +
                   (config.tls_dir.empty()
                        ? ". To join " + without_scheme(config.coordinator) +
                              ", give in a --token-file what `germline pki token` prints there"
                        : ""));
}

std::string why_unreachable(const worker_config& config) {
  const auto at = without_scheme(config.coordinator);
  if (config.coordinator.starts_with("unix:")) {
    return "nobody listens on " + config.coordinator + ", or this account may not use it";
  }
  if (!needs_tls(config.coordinator)) {
    return pki::speaks_tls(at)
               ? "who answers at " + at + " speaks TLS, and is dialled without; tls:" + at +
                     " is dialled over TLS, and needs a join token"
               : "nobody answers at " + at;
  }
  const auto ca_file = pki::credential_paths(tls_folder_of(config)).ca;
  const auto ca = pki::read_file(ca_file);
  const auto there = ca ? pki::check_coordinator(at, *ca) : result<void>(ca.error());
  if (there) return "";
  const bool strange = there.error().code() == error_code::permission_denied;
  return there.error().message() +
         (strange ? ", which " + ca_file + " does not name. " + way_back(config) : "");
}

std::string way_back(const worker_config& config) {
  if (!needs_tls(config.coordinator)) return "";
  if (!config.tls_dir.empty()) {
    return "If that stays so, this worker needs another certificate in " + config.tls_dir +
           ", and to be started again";
  }
  return "If that stays so, end this worker and start it with a new token, which `germline pki "
         "token` prints beside the coordinator: germline worker --join " +
         config.coordinator + " --state-dir " + config.state_dir +
         " --token-file FILE. It joins under a new name; nothing has to be removed";
}

certificate_keeper::certificate_keeper(const worker_config& config, const clock& time,
                                       random_source& random)
    : address_(config.coordinator), folder_(tls_folder_of(config)), time_(time), random_(random) {
  if (!needs_tls(config.coordinator) || !config.tls_dir.empty()) return;
  thread_ = std::thread([this] { keep(); });
}

certificate_keeper::~certificate_keeper() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void certificate_keeper::keep() {
  std::unique_lock lock(mutex_);
  for (auto longest_ms = first_look_ms;; longest_ms = look_ms) {
    // Not all workers at once, nor those that one event has started.
    const auto wait_ms =
        longest_ms / 2 +
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(longest_ms / 2)));
    if (changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping_; })) {
      return;
    }
    lock.unlock();
    look();
    lock.lock();
  }
}

void certificate_keeper::look() {
  const auto looked = renew_credentials(address_, folder_, time_);
  if (looked) {
    if (*looked == renewal::renewed) log_info("this worker's certificate is renewed");
    return;
  }
  const auto read = pki::read_credentials(folder_);
  const bool soon = !read || read->facts.not_after_ms - time_.utc_ms() < warn_before_ms;
  // Out of reach for a while is no news: the stream says so itself.
  if (soon) log_warning("this worker's certificate is not renewed: {}", looked.error().message());
}

}  // namespace germline::worker
