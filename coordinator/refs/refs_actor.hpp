// refs_actor: the actors' way to the repository, in a thread of its own. Now and then it removes
// the packs that wait for a result which cannot come any more. Owns nothing: the seam behind it is
// shared with the bulk transfers. See coordinator/actors.hpp for its messages.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "coordinator/actors.hpp"

namespace germline {

struct refs_actor_state {
  static inline const char* name = "refs";
};

/// Whether the record has this attempt as leased. Any thread.
using lease_lookup = std::function<result<bool>(const std::string& attempt)>;

/// REQUIRES to be spawned detached: its handlers wait for the disk.
refs_actor::behavior_type refs_behavior(refs_actor::stateful_pointer<refs_actor_state> self,
                                        std::shared_ptr<refs::git_refs> repository,
                                        lease_lookup is_leased);

}  // namespace germline
