// gateway: the process's one object: answers the node on the control socket, holds the attempts.
// When the control socket ends, it cuts everything and stops the io_context.
// Runs on the io_context's one thread.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "worker/gateway/attempt.hpp"
#include "worker/gateway/control.hpp"

namespace germline::worker {

class gateway {
 public:
  /// `parts` must outlive this. `secrets` are taken out of transcripts, besides each token.
  gateway(gateway_parts& parts, price_table prices, std::vector<std::string> secrets,
          unique_fd control);

  void start() { wait_for_packets(); }

 private:
  void wait_for_packets();
  void read_packets();
  void handle(control_message message, unique_fd fd);
  control_message open(control_message& message, unique_fd fd);
  result<std::shared_ptr<attempt>> make_attempt(control_message& message, unique_fd fd);
  result<void> check_keys(const std::string& model) const;
  result<void> begin_replay(const control_message& message);
  void close(const control_message& message);
  void send(const control_message& message, bool may_drop);
  void flush();
  void stop(std::string_view why);

  gateway_parts& parts_;
  price_table prices_;
  std::vector<std::string> secrets_;
  boost::asio::posix::stream_descriptor control_;
  std::map<std::string, std::shared_ptr<attempt>> attempts_;
  std::deque<std::string> outbox_;
  bool writing_ = false;
  bool stopped_ = false;
};

}  // namespace germline::worker
