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
    log_info("{} artefacts that no generation and no run has are removed", *swept);
  }
}

}  // namespace

refs_actor::behavior_type refs_behavior(refs_actor::stateful_pointer<refs_actor_state> self,
                                        std::shared_ptr<refs::git_refs> repository,
                                        record_lookups record, std::shared_ptr<health> well,
                                        std::chrono::milliseconds sweep_interval) {
  guard_actor(self);
  self->send(self, tick_atom_v);
  const auto answer = [well](auto outcome) {
    if (outcome) {
      well->note_objects({});
    } else {
      outcome = well->judged(outcome.error());
      well->note_objects(outcome.error());
    }
    return reply(std::move(outcome));
  };
  return {
      [repository, answer](const refs::ingest_request& request) {
        return answer(repository->ingest(request));
      },
      [repository, answer](const refs::context_request& request) {
        return answer(repository->author_context(request));
      },
      [repository, answer](const refs::rollback_request& request) {
        return answer(repository->author_rollback(request));
      },
      [repository, answer](const refs::move_request& request) {
        return answer(repository->author_move(request));
      },
      [repository, answer](const refs::graft_request& request) {
        return answer(repository->author_grafts(request));
      },
      [repository](const refs::size_request& request) {
        return reply(repository->sizes_at(request));
      },
      [repository, answer](const refs::project_request& request) {
        // Most find the branch where it should be, and write nothing: that shows no room.
        auto outcome = repository->project(request);
        if (outcome) return reply(std::move(outcome));
        return answer(std::move(outcome));
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
