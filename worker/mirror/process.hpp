// mirror_process: the doors of germline-mirror, opened and closed as the node says over the control
// socket. Main thread only; doors have threads of their own, which it waits for before it says that
// one is closed. REQUIRES to live as long as the process: those threads refer to it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/unique_fd.hpp"
#include "worker/mirror/door.hpp"

namespace germline::worker {

class mirror_process {
 public:
  mirror_process(mirror_routes routes, const clock& time, unique_fd control)
      : routes_(std::move(routes)), time_(time), control_(std::move(control)) {}

  /// Until the control socket ends; then all is cut.
  void serve();

 private:
  bool serve_once();
  mirror_message handle(const mirror_message& asked, unique_fd fd);
  result<void> open(const mirror_message& asked, unique_fd fd);
  void answer_closed();

  struct closing {
    std::uint64_t seq;
    std::shared_ptr<door> which;
  };
  mirror_routes routes_;
  const clock& time_;
  unique_fd control_;
  std::map<std::string, std::shared_ptr<door>> doors_;
  std::vector<closing> closing_;
};

}  // namespace germline::worker
