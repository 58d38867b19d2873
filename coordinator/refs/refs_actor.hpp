// refs_actor: the actors' way to the repository, in a thread of its own. Owns nothing: the seam
// behind it is shared with the bulk transfers. See coordinator/actors.hpp for its messages.
#pragma once

#include <memory>

#include "coordinator/actors.hpp"

namespace germline {

struct refs_actor_state {
  static inline const char* name = "refs";
};

/// REQUIRES to be spawned detached: its handlers wait for the disk.
refs_actor::behavior_type refs_behavior(refs_actor::stateful_pointer<refs_actor_state> self,
                                        std::shared_ptr<refs::git_refs> repository);

}  // namespace germline
