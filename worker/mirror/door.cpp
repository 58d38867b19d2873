#include "worker/mirror/door.hpp"

#include <sys/socket.h>

#include <exception>
#include <system_error>
#include <thread>

#include "common/log.hpp"
#include "worker/mirror/session.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t told_max = 1'000;  // of each kind
constexpr int accepted_at_a_time = 64;

/// The first, by target, and how many more; empty where there is none.
std::string words_of(const std::map<std::string, std::string>& why_by_target) {
  if (why_by_target.empty()) return {};
  const auto& [target, why] = *why_by_target.begin();
  const auto more = why_by_target.size() - 1;
  return target + ": " + why + (more > 0 ? " (and " + std::to_string(more) + " more)" : "");
}

}  // namespace

door::door(door_settings settings, const mirror_routes& routes, const clock& time,
           unique_fd listener)
    : settings_(std::move(settings)),
      routes_(routes),
      time_(time),
      listener_(std::move(listener)),
      deadline_boot_ms_(settings_.deadline_boot_ms) {}

void door::accept_waiting() {
  // The thread that accepts serves other fetches as well; what still waits is seen again.
  for (int turns = 0; turns < accepted_at_a_time; ++turns) {
    unique_fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    {
      const std::scoped_lock lock(mutex_);
      const auto most = static_cast<std::size_t>(settings_.limits.connections);
      if (cut_ || connections_.size() >= most) continue;
      connections_.insert(socket.get());
    }
    const int connection = socket.get();
    try {
      std::thread([self = shared_from_this(), connection] { self->serve(connection); }).detach();
      (void)socket.release();  // the thread's
    } catch (const std::system_error& failure) {
      log_error("{}: no thread for a connection: {}", settings_.id, failure.what());
      left(connection);
    }
  }
}

void door::serve(int connection) {
  const unique_fd socket(connection);
  try {
    serve_connection(*this, connection);
  } catch (const std::exception& failure) {
    log_error("{}: a connection ended by an exception: {}", settings_.id, failure.what());
  }
  left(connection);
}

void door::left(int connection) {
  const std::scoped_lock lock(mutex_);
  connections_.erase(connection);
}

bool door::alive() const {
  return !cut_ && time_.boot_ms() < deadline_boot_ms_;
}

bool door::renew(std::int64_t deadline_boot_ms) {
  if (!alive()) return false;
  deadline_boot_ms_ = deadline_boot_ms;
  return true;
}

void door::cut() {
  const std::scoped_lock lock(mutex_);
  cut_ = true;
  listener_.reset();
  for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
}

bool door::is_over() const {
  const std::scoped_lock lock(mutex_);
  return cut_ && connections_.empty();
}

mirror_account door::account() const {
  const std::scoped_lock lock(mutex_);
  auto told = account_;
  told.trouble = words_of(troubles_);
  told.refused = words_of(refusals_);
  return told;
}

bool door::count_request() {
  const std::scoped_lock lock(mutex_);
  if (account_.requests >= settings_.limits.requests) {
    past_bound(std::to_string(settings_.limits.requests) + " requests");
    return false;
  }
  ++account_.requests;
  return true;
}

bool door::count_bytes(std::size_t bytes) {
  const std::scoped_lock lock(mutex_);
  account_.bytes += static_cast<std::int64_t>(bytes);
  if (account_.bytes <= settings_.limits.bytes) return true;
  past_bound(std::to_string(settings_.limits.bytes) + " bytes");
  return false;
}

void door::past_bound(const std::string& which) {
  if (!account_.past_bound.empty()) return;
  account_.past_bound = which;
  log_warning("{}: past its bound of {}", settings_.id, which);
}

bool door::is_past_bound() const {
  const std::scoped_lock lock(mutex_);
  return !account_.past_bound.empty();
}

void door::note_came(const std::string& target) {
  const std::scoped_lock lock(mutex_);
  troubles_.erase(target);
  refusals_.erase(target);
}

void door::note_refused(const std::string& target, const std::string& why) {
  log_warning("{}: {}: {}", settings_.id, target, why);
  const std::scoped_lock lock(mutex_);
  if (refusals_.size() < told_max) refusals_[target] = why;
}

void door::note_trouble(const std::string& target, const std::string& why) {
  log_warning("{}: {}: {}", settings_.id, target, why);
  const std::scoped_lock lock(mutex_);
  if (troubles_.size() < told_max) troubles_[target] = why;
}

}  // namespace germline::worker
