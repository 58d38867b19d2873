// account_reporter: tells the coordinator what the gateway's journals say of attempts whose doors
// are closed, and removes each once the coordinator needs it no more. So an attempt whose worker or
// gateway died is charged what it cost, as soon as a worker stands here again. It decides nothing
// and keeps no account itself.
// Owns a thread, which alone reads the folder. The other members are thread-safe and do not block.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "germline/v1/fleet.pb.h"

namespace germline::worker {

class account_reporter {
 public:
  using sink = std::function<void(v1::LateAccounts)>;

  /// `send` is called from the thread, each 5 s and when told to look, and only with something.
  account_reporter(std::string directory, std::string boot_id, sink send);
  ~account_reporter();
  account_reporter(const account_reporter&) = delete;
  account_reporter& operator=(const account_reporter&) = delete;

  /// The worker has joined: look now.
  void look();
  /// What the coordinator needs no more.
  void forget(const v1::LateAccountsReply& told);

 private:
  void run(const std::stop_token& stopping);

  const std::string directory_;
  const std::string boot_id_;
  const sink send_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::string> done_;
  bool looks_ = false;
  std::jthread thread_;  // last: it uses the above
};

}  // namespace germline::worker
