// zygote_link: the one connection to a zygote, shared by its backend and the sandboxes that it
// made. Private to the native backend. Thread-safe: one request at a time.
#pragma once

#include <mutex>
#include <string>

#include "common/unique_fd.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline {

class zygote_link {
 public:
  explicit zygote_link(unique_fd socket) : socket_(std::move(socket)) {}

  /// Sends one request and waits for its answer, at most a minute. Error `unavailable`: the zygote
  /// is gone; else what it refused the request with.
  result<packet> ask(const std::string& request);
  /// Kills the supervisor and the sandbox of this name, which may be gone already. When it returns
  /// without an error, no process of the sandbox is left.
  result<void> end_sandbox(const std::string& name);
  /// Ends the zygote; whoever asks it afterwards gets `unavailable`.
  void close();

 private:
  std::mutex mutex_;
  unique_fd socket_;
};

}  // namespace germline
