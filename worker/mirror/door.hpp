// door: one fetch's way to its mirrors: its listener, its bounds, its account, and the connections
// under way, a thread each. Nothing goes out past its deadline. Cutting it ends all of that: within
// a tenth of a second nothing runs any more.
// The main thread makes, cuts and forgets doors; connections' threads count at them. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/unique_fd.hpp"
#include "worker/mirror/control.hpp"
#include "worker/mirror/routes.hpp"

namespace germline::worker {

struct door_settings {
  std::string id;
  std::vector<std::string> mirrors;
  mirror_limits limits;
  std::int64_t deadline_boot_ms = 0;
};

class door : public std::enable_shared_from_this<door> {
 public:
  /// REQUIRES that `listener` is a listening TCP socket that does not block, and that `routes` and
  /// `time` outlive the process's threads.
  door(door_settings settings, const mirror_routes& routes, const clock& time, unique_fd listener);

  int listener() const { return listener_.get(); }
  /// Takes who waits at the listener. More than the bound are turned away.
  void accept_waiting();
  /// False when it was cut or its deadline has passed: that is final.
  bool renew(std::int64_t deadline_boot_ms);
  /// Whether anything may go on.
  bool alive() const;
  void cut();
  /// After cut(): whether the last connection is gone, and the account final.
  bool is_over() const;
  mirror_account account() const;

  const door_settings& settings() const { return settings_; }
  const mirror_routes& routes() const { return routes_; }
  /// False: no more requests are granted.
  bool count_request();
  /// False: these bytes go past the bound.
  bool count_bytes(std::size_t bytes);
  bool is_past_bound() const;
  /// What was asked for came, or did not come by no fault of who asked.
  void note_came(const std::string& target);
  void note_trouble(const std::string& target, const std::string& why);
  /// As the mirrors are configured it will not come, however often it is asked for.
  void note_refused(const std::string& target, const std::string& why);

 private:
  /// One connection's thread, until its end.
  void serve(int connection);
  void past_bound(const std::string& which);
  void left(int connection);

  const door_settings settings_;
  const mirror_routes& routes_;
  const clock& time_;
  unique_fd listener_;
  std::atomic<std::int64_t> deadline_boot_ms_;
  std::atomic<bool> cut_ = false;
  mutable std::mutex mutex_;  // of what follows
  std::set<int> connections_;
  mirror_account account_;
  std::map<std::string, std::string> troubles_;  // by target
  std::map<std::string, std::string> refusals_;  // the same
};

}  // namespace germline::worker
