#include "coordinator/evolution/evaluations_actor.hpp"

#include <caf/send.hpp>
#include <caf/typed_response_promise.hpp>
#include <cmath>
#include <utility>

#include "common/log.hpp"
#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/lineage/verdict.hpp"

namespace germline {
namespace {

using self_pointer = evaluations_actor::stateful_pointer<evaluations_actor_state>;
using settler = std::function<void(const judgement&)>;

/// A copy is held by each handler.
class measurer {
 public:
  measurer(self_pointer self, evaluations_config config)
      : self_(self), config_(std::move(config)) {}

  void load(const std::vector<records::open_item>& open) const {
    for (const auto& item : open) {
      if (item.kind != v1::WORK_KIND_EVALUATE) continue;
      if (item.attempt.empty()) {
        self_->send(config_.dispatcher, offer_atom_v, item.offer, as_owner());
      } else {
        self_->send(config_.dispatcher, restore_atom_v, item, as_owner());
      }
    }
  }

  void offer(const item_id& item) const {
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, offer_atom_v, item)
        .then(
            [copy](const dispatch::item_offer& o) {
              copy.self_->send(copy.config_.dispatcher, offer_atom_v, o, copy.as_owner());
            },
            [copy, item](const caf::error& failure) {
              if (may_pass(failure)) return copy.later(failure, [copy, item] { copy.offer(item); });
              // Killed before it was offered.
              log_info("evaluation {} is not offered: {}", item.str(), from_caf(failure).message());
            });
  }

  void judge(const item_id& item, const result_ptr& result,
             caf::typed_response_promise<judgement> promise) const {
    records::evaluation_end end;
    end.judged = make_verdict(*result, item, config_.env.time->utc_ms());
    end.judged.commit.clear();
    end.judged.tests.clear();
    constexpr double most = 1e100;  // what means and spreads can be computed of
    const bool is_number = std::abs(result->score().score()) <= most;
    if (end.judged.how == lineage::ending::scored && is_number) {
      end.score = result->score();
    } else {
      end.judged.how = lineage::ending::failed;
    }
    finish(end, [promise](const judgement& j) mutable { promise.deliver(j); });
  }

  void give_up(const item_id& item, const std::string& reason, const std::string& why) const {
    records::evaluation_end end;
    end.judged.item = item;
    end.judged.how = lineage::ending::failed;
    end.judged.reason = reason;
    end.judged.details = why;
    end.judged.now_ms = config_.env.time->utc_ms();
    finish(end, [](const judgement&) {});
  }

  void try_again() const {
    for (const auto& each : std::exchange(self_->state.later, {})) each();
  }

 private:
  item_owner as_owner() const { return caf::actor_cast<item_owner>(evaluations_actor(self_)); }

  void finish(records::evaluation_end end, const settler& settle) const {
    end.again = item_id::make(*config_.env.time, *config_.env.random);
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, end)
        .then(
            [copy, self = self_, end, settle](bool best_again) {
              log_info("evaluation {} ended: {} {}", end.judged.item.str(),
                       lineage::to_string(end.judged.how), end.judged.reason);
              settle({true, true, {}});
              if (best_again) copy.offer(end.again);
              for (const auto& each : self->state.listeners) self->send(each, scored_atom_v);
            },
            [copy, end, settle](const caf::error& failure) {
              if (may_pass(failure)) {
                return copy.later(failure, [copy, end, settle] { copy.finish(end, settle); });
              }
              settle({false, false, from_caf(failure).message()});
            });
  }

  void later(const caf::error& failure, std::function<void()> what) const {
    log_error("an evaluation waits: {}", from_caf(failure).message());
    self_->state.later.push_back(std::move(what));
  }

  self_pointer self_;
  evaluations_config config_;
};

}  // namespace

evaluations_actor::behavior_type evaluations_behavior(self_pointer self,
                                                      evaluations_config config) {
  guard_actor(self);
  const auto check_interval = config.check_interval;
  const auto open = std::exchange(config.open, {});  // each handler has a copy of the rest
  const measurer run(self, std::move(config));
  run.load(open);
  self->delayed_send(self, check_interval, tick_atom_v);
  return {
      [self, run](judge_atom, const item_id& item, const result_ptr& result,
                  const std::string&) -> caf::result<judgement> {
        auto promise = self->make_response_promise<judgement>();
        run.judge(item, result, promise);
        return promise;
      },
      [run](given_up_atom, const item_id& item, const std::string& why) {
        run.give_up(item, "attempts_lost", why);
      },
      [run](held_atom, const item_id& item, const std::string& why, bool) {
        run.give_up(item, "worker", why);
      },
      [run](unwanted_atom, const item_id& item, const std::string& why) {
        run.give_up(item, "killed", why);
      },
      [run](budget_atom, const item_id& item, const std::string& why) {
        if (!item.empty()) run.give_up(item, "budget", why);
      },
      [run](offer_atom, const item_id& item) { run.offer(item); },
      [self](listen_atom, const score_listener& who) { self->state.listeners.push_back(who); },
      [self, run, check_interval](tick_atom) {
        run.try_again();
        self->delayed_send(self, check_interval, tick_atom_v);
      },
  };
}

}  // namespace germline
