// proxies: what a benchmark may put before a provider: nginx as a plain reverse proxy, and the
// gateway as it meters. Each is a process that ends with its owner, and can be asked what it cost.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "worker/gateway/client.hpp"

namespace germline::bench {

/// Processor time of all threads.
std::int64_t cpu_ns_of(pid_t process);
std::int64_t resident_kib_of(pid_t process);

/// Two cores: what is measured has one of its own, and its client and the provider the other. Else
/// it is by chance whether a request goes from core to core, and that costs as much as a proxy
/// does.
class two_cores {
 public:
  /// Of those that this process may run on.
  two_cores();
  bool are_there() const { return second_ >= 0; }
  /// This process, and those that it starts.
  void stay_on_first() const;
  /// One that runs, with all its threads.
  void move_to_second(pid_t process) const;

 private:
  int first_ = -1;
  int second_ = -1;
};

class nginx {
 public:
  /// None where nginx is not installed. `folder` is for its files.
  static std::unique_ptr<nginx> start(const std::string& folder, unsigned upstream_port);
  ~nginx();
  nginx(const nginx&) = delete;
  nginx& operator=(const nginx&) = delete;
  unsigned port() const { return port_; }
  pid_t pid() const { return process_; }

 private:
  nginx() = default;
  pid_t process_ = -1;
  unsigned port_ = 0;
};

class gateway {
 public:
  /// `binary` is germline-gateway. Ends the program where it does not start.
  gateway(const std::string& binary, const std::string& folder, unsigned upstream_port,
          bool transcripts);
  unsigned port() const { return port_; }
  pid_t pid() const { return client_->pid(); }
  /// Closes the door.
  worker::gateway_account close();

 private:
  std::unique_ptr<worker::gateway_client> client_;
  unsigned port_ = 0;
};

}  // namespace germline::bench
