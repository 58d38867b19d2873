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

/// Why the credentials in the folder cannot be used now.
result<pki::certificate_facts> usable(const std::string& folder, const clock& time) {
  GERMLINE_TRY_ASSIGN(auto read, pki::read_credentials(folder));
  GERMLINE_TRY(pki::check_dates(read.facts, time.utc_ms()));
  if (read.facts.whose.who == pki::role::worker) return std::move(read.facts);
  return error(error_code::invalid_argument, "the certificate in " + folder + " is a " +
                                                 std::string(pki::to_string(read.facts.whose.who)) +
                                                 "'s, not a worker's");
}

}  // namespace

std::string tls_folder_of(const worker_config& config) {
  return config.state_dir + "/tls";
}

result<void> take_credentials_along(const worker_config& config) {
  if (config.tls_dir.empty() || !needs_tls(config.coordinator)) return {};
  GERMLINE_TRY_ASSIGN(const auto read, pki::read_credentials(config.tls_dir));
  return pki::write_credentials(tls_folder_of(config), read.files);
}

result<std::string> identify(const worker_config& config, const clock& time) {
  if (!needs_tls(config.coordinator)) return own_id(config, time);
  const auto folder = tls_folder_of(config);
  const auto present = usable(folder, time);
  if (present) return present->whose.name;
  if (config.join_token.empty() || !config.tls_dir.empty()) {
    return error(present.error().code(),
                 present.error().message() +
                     (config.tls_dir.empty()
                          ? ". To join " + without_scheme(config.coordinator) +
                                ", give in a --token-file what `germline pki token` prints there"
                          : ""));
  }
  auto made = enroll(config.coordinator, config.join_token, pki::role::worker);
  if (!made) return made.error().within("joining " + without_scheme(config.coordinator));
  GERMLINE_TRY(pki::write_credentials(folder, *made));
  GERMLINE_TRY_ASSIGN(const auto fresh, usable(folder, time));
  log_info("enrolled at {} as {}", without_scheme(config.coordinator), fresh.whose.name);
  return fresh.whose.name;
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
