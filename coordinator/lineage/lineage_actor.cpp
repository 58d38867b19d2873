#include "coordinator/lineage/lineage_actor.hpp"

#include <caf/typed_response_promise.hpp>

#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/lineage/conductor.hpp"

namespace germline {
namespace {

std::function<void(result<void>)> answer(caf::typed_response_promise<void> promise) {
  return [promise](const result<void>& outcome) mutable {
    if (outcome) {
      deliver_done(promise);
    } else {
      promise.deliver(to_caf(outcome.error()));
    }
  };
}

/// `why`, and how the lineage goes on once that is mended; a worker may have said it.
std::string with_resume(const std::string& why, const lineage_id& lineage) {
  constexpr std::string_view resume = "germline resume";
  auto text = why;
  const auto at = text.find(resume);
  if (at == std::string::npos) {
    return text + "; once that is mended: `germline resume " + lineage.str() + "`";
  }
  return text.replace(at, resume.size(), "`germline resume " + lineage.str() + "`");
}

}  // namespace

lineage_actor::behavior_type lineage_behavior(conductor::self_pointer self, lineage_config config) {
  guard_actor(self);
  self->state.current = config.state;
  self->state.branch_commit = config.branch_commit;
  const conductor run(self, config);
  if (config.loaded) {
    for (const auto& effect : lineage::after_load(config.state)) {
      const bool offer = std::holds_alternative<lineage::offer_item>(effect);
      if (!(offer && config.item_leased)) run.perform({effect});
    }
  }
  return {
      [self, run](judge_atom, const item_id& item, const result_ptr& result,
                  const std::string&) -> caf::result<judgement> {
        auto promise = self->make_response_promise<judgement>();
        run.judge(item, result, promise);
        return promise;
      },
      [run](given_up_atom, const item_id& item, const std::string& why) { run.give_up(item, why); },
      [self, run](held_atom, const item_id&, const std::string& why, bool by_gateway) {
        const auto reason =
            by_gateway ? lineage::pause_reason::gateway : lineage::pause_reason::worker;
        run.change_surely(
            lineage::pause_requested{reason, with_resume(why, self->state.current.id)});
      },
      [run](unwanted_atom, const item_id& item, const std::string& why) {
        run.give_back(item, why);
      },
      [run](budget_atom, const item_id&, const std::string& why) {
        run.change_surely(lineage::pause_requested{lineage::pause_reason::budget, why});
      },
      [run](founded_atom, const generation_id& generation, const std::string& commit) {
        run.change_surely(lineage::founded{generation, commit});
      },
      [run](refused_atom, const std::string& details) {
        run.change_surely(lineage::seed_refused{details});
      },
      [self, run](kill_atom, const std::string& why) -> caf::result<kill_outcome> {
        auto promise = self->make_response_promise<kill_outcome>();
        run.kill(why, promise);
        return promise;
      },
      [self, run](pause_atom, const std::string& why) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.change(lineage::pause_requested{lineage::pause_reason::person, why}, answer(promise));
        return promise;
      },
      [self, run](resume_atom, const std::string& why) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.change(lineage::resume_requested{why}, answer(promise));
        return promise;
      },
      [self, run](rollback_atom, const generation_id& to,
                  const std::string& why) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.roll_back(to, why, answer(promise));
        return promise;
      },
      [self, run](retire_atom, const std::string& why) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.retire(why, answer(promise));
        return promise;
      },
      [self, run](drain_atom, const std::string& why) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.drain(why, answer(promise));
        return promise;
      },
      [run](scored_atom) { run.choose_again(); },
      [self, run](check_atom) {
        const auto& s = self->state.current;
        run.try_again();
        if (run.waits_for_storage()) return;
        run.choose_again();
        if (s.at != lineage::status::killed) run.project();
      },
  };
}

}  // namespace germline
