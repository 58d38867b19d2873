#include "coordinator/refs/refs_actor.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"

namespace germline {

namespace {

constexpr auto sweep_interval = std::chrono::seconds(5);

}  // namespace

refs_actor::behavior_type refs_behavior(refs_actor::stateful_pointer<refs_actor_state> self,
                                        std::shared_ptr<refs::git_refs> repository,
                                        lease_lookup is_leased) {
  guard_actor(self);
  self->send(self, tick_atom_v);
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
      // By the record, and again and again: a put that was under way when its attempt ended may
      // come to its end later.
      [self, repository, is_leased = std::move(is_leased)](tick_atom) {
        repository->sweep(is_leased);
        self->delayed_send(self, sweep_interval, tick_atom_v);
      },
  };
}

}  // namespace germline
