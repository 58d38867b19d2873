// refs_actor: the actors' way to the repository, in a thread of its own. Now and then it removes
// the packs and artefacts that wait for a result which cannot come any more. Owns nothing: the seam
// behind it is shared with the bulk transfers. See coordinator/actors.hpp for its messages.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/actors.hpp"
#include "coordinator/health.hpp"

namespace germline {

struct refs_actor_state {
  static inline const char* name = "refs";
  std::int64_t sweeps = 0;
};

/// What the record knows of what the repository keeps. Any thread.
struct record_lookups {
  std::function<result<bool>(const std::string& attempt)> is_leased;
  std::function<result<std::vector<std::string>>()> artefacts;  // of all generations
};

/// A failure of the storage is answered with `unavailable`: the same may succeed later.
/// REQUIRES to be spawned detached: its handlers wait for the disk.
refs_actor::behavior_type refs_behavior(refs_actor::stateful_pointer<refs_actor_state> self,
                                        std::shared_ptr<refs::git_refs> repository,
                                        record_lookups record, std::shared_ptr<health> well,
                                        std::chrono::milliseconds sweep_interval);

}  // namespace germline
