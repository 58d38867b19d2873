#include "coordinator/refs/refs_actor.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "common/log.hpp"
#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"

namespace germline {

namespace {

constexpr std::chrono::minutes between_artefacts(30);

void sweep_artefacts(refs::git_refs& repository, const record_lookups& record) {
  const auto swept = [&]() -> result<std::size_t> {
    GERMLINE_TRY_ASSIGN(const auto wanted, record.artefacts());
    return repository.sweep_artefacts(wanted);
  }();
  if (!swept) {
    log_warning("artefacts that nothing uses could not be removed: {}", swept.error().message());
  } else if (*swept > 0) {
    log_info("{} artefacts that no generation has are removed", *swept);
  }
}

}  // namespace

refs_actor::behavior_type refs_behavior(refs_actor::stateful_pointer<refs_actor_state> self,
                                        std::shared_ptr<refs::git_refs> repository,
                                        record_lookups record,
                                        std::chrono::milliseconds sweep_interval) {
  guard_actor(self);
  self->send(self, tick_atom_v);
  return {
      [repository](const refs::ingest_request& request) {
        return reply(repository->ingest(request));
      },
      [repository](const refs::context_request& request) {
        return reply(repository->author_context(request));
      },
      [repository](const refs::rollback_request& request) {
        return reply(repository->author_rollback(request));
      },
      [repository](const refs::project_request& request) {
        return reply(repository->project(request));
      },
      // By the record, and again and again: a put that was under way when its attempt ended may
      // come to its end later.
      [self, repository, record = std::move(record), sweep_interval](tick_atom) {
        repository->sweep(record.is_leased);
        if (self->state.sweeps++ % (between_artefacts / sweep_interval) == 0) {
          sweep_artefacts(*repository, record);
        }
        self->delayed_send(self, sweep_interval, tick_atom_v);
      },
  };
}

}  // namespace germline
