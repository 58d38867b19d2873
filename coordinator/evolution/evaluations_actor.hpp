// evaluations_actor: owns every evaluation: has it leased, and records how it ended. An evaluation
// is made with the birth of the generation that it measures, in the record; who records the birth
// names it here. It decides nothing by scores. See coordinator/actors.hpp for its messages.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <chrono>
#include <functional>
#include <vector>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"

namespace germline {

struct evaluations_actor_state {
  static inline const char* name = "evaluations";
  std::vector<score_listener> listeners;
  std::vector<std::function<void()>> later;  // tried again at the next check: the disk is full
};

struct evaluations_config {
  environment env;
  store_actor store;
  dispatcher_actor dispatcher;
  std::vector<records::open_item> open;  // what goes on from before; others than evaluations are
                                         // not looked at
  std::chrono::milliseconds check_interval;
};

evaluations_actor::behavior_type evaluations_behavior(
    evaluations_actor::stateful_pointer<evaluations_actor_state> self, evaluations_config config);

}  // namespace germline
