// candidate_door: the socket /germline/run.sock, over which processes of uid 1000 (a protected
// test's harness) have programs run as uid 1001. One connection is one program; closing it kills
// the program's group. Everything is bounded. Used by germline-init alone.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <poll.h>

#include "common/unique_fd.hpp"
#include "sandbox/init/processes.hpp"

namespace germline::init {

class candidate_door {
 public:
  static constexpr std::size_t connections_max = 16;

  /// `listener` may be -1: then nothing ever connects. Does not own it.
  candidate_door(int listener, process_table& processes, const std::string& seccomp)
      : listener_(listener), processes_(processes), seccomp_(seccomp) {}

  /// Adds what is to be polled.
  void add_sources(std::vector<pollfd>& sources) const;
  /// Handles what poll found on the sources that add_sources() added.
  void on_ready(const std::vector<pollfd>& sources);
  void on_exit(const process_end& end);

 private:
  struct connection {
    unique_fd socket;
    bool started = false;
  };
  void accept_one();
  /// Returns false when the connection is done with.
  bool serve(std::uint32_t id, connection& who);

  int listener_;
  process_table& processes_;
  const std::string& seccomp_;
  std::map<std::uint32_t, connection> connections_;
  std::uint32_t next_id_ = 1;
};

}  // namespace germline::init
