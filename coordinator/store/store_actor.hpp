// store_actor: carries the store's transactions out, one after another, in a thread of its own.
// Owns the store. See coordinator/actors.hpp for its messages.
#pragma once

#include <memory>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"
#include "coordinator/store/store.hpp"

namespace germline {

struct store_actor_state {
  static inline const char* name = "store";
  std::unique_ptr<store> record;
};

/// REQUIRES to be spawned detached: its handlers wait for the disk.
store_actor::behavior_type store_behavior(store_actor::stateful_pointer<store_actor_state> self,
                                          std::shared_ptr<std::unique_ptr<store>> record,
                                          environment env);

}  // namespace germline
