#include "coordinator/refs/refs_actor.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"

namespace germline {

refs_actor::behavior_type refs_behavior(refs_actor::stateful_pointer<refs_actor_state> self,
                                        std::shared_ptr<refs::git_refs> repository) {
  guard_actor(self);
  return {
      [repository](const refs::ingest_request& request) {
        return reply(repository->ingest(request));
      },
      [repository](const refs::context_request& request) {
        return reply(repository->author_context(request));
      },
      [repository](const refs::project_request& request) {
        return reply(repository->project(request));
      },
  };
}

}  // namespace germline
