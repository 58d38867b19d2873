// store_actor: carries the store's transactions out, one after another, in a thread of its own.
// Owns the store. What nobody can ask for a second time (that an attempt was lost, what it told)
// it keeps while the disk is full, and writes it before anything else; all else fails with
// `unavailable`, and is its sender's to try again. See coordinator/actors.hpp for its messages.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"
#include "coordinator/health.hpp"
#include "coordinator/store/store.hpp"

namespace germline {

struct store_actor_state {
  static inline const char* name = "store";
  std::unique_ptr<store> record;
  // Bounded by what was leased when the disk became full: a lease is recorded after all that is
  // owed, so none is made meanwhile.
  std::deque<std::function<result<void>()>> owed;
  std::vector<v1::ProgressEvent> events;  // not written yet; bounded
};

/// REQUIRES to be spawned detached: its handlers wait for the disk.
store_actor::behavior_type store_behavior(store_actor::stateful_pointer<store_actor_state> self,
                                          std::shared_ptr<std::unique_ptr<store>> record,
                                          environment env, std::shared_ptr<health> well);

}  // namespace germline
