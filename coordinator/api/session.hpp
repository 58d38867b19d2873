// session: the actor of one worker's stream. It checks that Hello comes first and is sane, then
// passes every message on to the dispatcher, which re-arms the stream once it has dealt with one:
// so at most one message of a worker waits. See coordinator/actors.hpp.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <string>

#include "coordinator/actors.hpp"

namespace germline {

struct session_actor_state {
  static inline const char* name = "session";
  std::string worker;  // empty until Hello came
};

session_actor::behavior_type session_behavior(
    session_actor::stateful_pointer<session_actor_state> self, worker_link_ptr link,
    dispatcher_actor dispatcher);

}  // namespace germline
