// actor_handles: the actors that the wire speaks to. A plain value.
#pragma once

#include "coordinator/actors.hpp"

namespace germline {

struct actor_handles {
  dispatcher_actor dispatcher;
  runs_actor runs;
};

}  // namespace germline
