// The part of the conductor that takes a lineage back to an ancestor, or ends it.
#include "common/log.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/lineage/conductor.hpp"

namespace germline {

void conductor::roll_back(const generation_id& to, const std::string& why,
                          std::function<void(result<void>)> settle) const {
  if (waits_for_storage()) return settle(storage_error());
  if (config_.measured.replays) {
    return settle(error(error_code::failed_precondition,
                        "the lineage is of a replay, and goes where its record says: roll back one "
                        "of the run that is replayed, or kill this one"));
  }
  const auto copy = *this;
  enqueue([copy, to, why, settle] {
    copy.take_back(
        to, [why](const records::ancestor&) { return why; }, settle);
  });
}

void conductor::retire(const std::string& why, std::function<void(result<void>)> settle) const {
  if (waits_for_storage()) return settle(storage_error());
  const auto copy = *this;
  enqueue([copy, why, settle] {
    copy.drop_waiting("the lineage was retired while it waited", settle, [copy, why, settle] {
      const auto& s = copy.self_->state;
      const auto go_on = [copy, why, settle] { copy.save(lineage::retire_requested{why}, settle); };
      if (s.current.head_commit.empty()) return go_on();
      const refs::project_request request{s.current.id, s.current.head_commit, s.branch_commit};
      copy.self_->request(copy.config_.refs, caf::infinite, request)
          .then(
              [copy, request, go_on](const refs::projection& p) {
                if (p.how != refs::standing::diverged) copy.projected(request, p);
                go_on();
              },
              [copy, settle](const caf::error& failure) {
                settle(from_caf(failure));
                copy.done();
              });
    });
  });
}

void conductor::drain(const std::string& why, std::function<void(result<void>)> settle) const {
  if (waits_for_storage()) return settle(storage_error());
  const auto copy = *this;
  enqueue([copy, why, settle] {
    const auto& now = copy.self_->state.current;
    const auto t = lineage::apply(now, lineage::drained{why});
    if (!t.refused.empty()) {
      settle(error(error_code::failed_precondition, t.refused));
      return copy.done();
    }
    const auto waiting = now.live;
    copy.self_
        ->request(copy.config_.store, caf::infinite,
                  records::dropped_iteration{t.next, "the lineage was drained while it waited",
                                             copy.config_.env.time->utc_ms()})
        .then(
            [copy, t, waiting, settle] {
              if (!waiting.empty()) {
                copy.self_->send(copy.config_.dispatcher, withdraw_atom_v, waiting);
              }
              copy.adopt(t);
              settle({});
              copy.done();
            },
            [copy, why, settle](const caf::error& failure) {
              if (from_caf(failure).code() == error_code::failed_precondition) {
                return copy.save(lineage::drain_requested{why}, settle);  // a worker has it
              }
              settle(from_caf(failure));
              copy.done();
            });
  });
}

void conductor::give_back(const item_id& item, const std::string& why) const {
  const auto copy = *this;
  enqueue([copy, item, why] {
    const auto& now = copy.self_->state.current;
    if (now.live != item) return copy.done();
    const auto t = lineage::apply(now, lineage::given_back{});
    if (!t.refused.empty()) return copy.done();
    copy.self_
        ->request(copy.config_.store, caf::infinite,
                  records::dropped_iteration{t.next, why, copy.config_.env.time->utc_ms()})
        .then(
            [copy, t] {
              copy.adopt(t);
              copy.done();
            },
            [copy, item, why](const caf::error& failure) {
              log_error("{} is not given back: {}", item.str(), from_caf(failure).message());
              if (may_pass(failure)) {
                copy.self_->state.later.push_back([copy, item, why] { copy.give_back(item, why); });
              }
              copy.done();
            });
  });
}

void conductor::drop_waiting(const std::string& why, std::function<void(result<void>)> settle,
                             std::function<void()> go_on) const {
  const auto t = lineage::apply(self_->state.current, lineage::waiting_dropped{});
  if (!t.refused.empty()) return go_on();
  const auto copy = *this;
  const auto waiting = self_->state.current.live;
  self_
      ->request(config_.store, caf::infinite,
                records::dropped_iteration{t.next, why, config_.env.time->utc_ms()})
      .then(
          [copy, t, waiting, go_on] {
            copy.self_->send(copy.config_.dispatcher, withdraw_atom_v, waiting);
            copy.adopt(t);
            go_on();
          },
          [copy, settle](const caf::error& failure) {
            settle(from_caf(failure));
            copy.done();
          });
}

void conductor::take_back(const generation_id& to, const reason_for& reason,
                          std::function<void(result<void>)> settle) const {
  const auto copy = *this;
  const auto& current = self_->state.current;
  const auto why_not = lineage::why_no_rollback(current);
  if (!why_not.empty() && !lineage::may_wait_withdrawn(current)) {
    settle(error(error_code::failed_precondition, why_not));
    return done();
  }
  self_
      ->request(config_.store, caf::infinite,
                records::ancestor_request{current.head_generation, to})
      .then(
          [copy, reason, settle](const records::ancestor& ancestor) {
            const auto why = reason(ancestor);
            copy.drop_waiting(
                "the lineage was rolled back while it waited", settle,
                [copy, ancestor, why, settle] { copy.author_rollback(ancestor, why, settle); });
          },
          [copy, settle](const caf::error& failure) {
            settle(from_caf(failure));
            copy.done();
          });
}

void conductor::author_rollback(const records::ancestor& to, const std::string& why,
                                std::function<void(result<void>)> settle) const {
  const auto& now = self_->state.current;
  const refs::rollback_request request{
      now.id, now.head_commit, to.commit, to.id, config_.folder, why, config_.env.time->utc_ms()};
  const auto copy = *this;
  self_->request(config_.refs, caf::infinite, request)
      .then([copy, to, why,
             settle](const std::string& commit) { copy.record_rollback(to, why, commit, settle); },
            [copy, settle](const caf::error& failure) {
              settle(from_caf(failure));
              copy.done();
            });
}

void conductor::record_rollback(const records::ancestor& to, const std::string& why,
                                const std::string& commit,
                                std::function<void(result<void>)> settle) const {
  const auto words =
      "rolled back to generation " + std::to_string(to.number) + " " + to.id.str() + ": " + why;
  const auto t =
      lineage::apply(self_->state.current, lineage::rolled_back{to.id, commit, to.depth, words});
  if (!t.refused.empty()) {
    settle(error(error_code::failed_precondition, t.refused));
    return done();
  }
  const auto copy = *this;
  self_
      ->request(config_.store, caf::infinite,
                records::rollback{t.next, why, config_.env.time->utc_ms()})
      .then(
          [copy, t, words, settle] {
            log_info("lineage {} is {}", t.next.id.str(), words);
            copy.adopt(t);
            settle({});
            copy.done();
          },
          [copy, settle](const caf::error& failure) {
            settle(from_caf(failure));
            copy.done();
          });
}

void conductor::one(const lineage::kill_by_policy& what) const {
  const auto runs =
      caf::actor_cast<runs_actor>(caf::actor_cast<caf::strong_actor_ptr>(config_.runs));
  if (!runs) return;  // it ends, and so does all of it
  const auto& now = self_->state.current;
  kill_target target;
  target.why = now.due_why + (what.clade ? ", found in " + now.id.str() : "");
  target.lineages = {now.id};
  if (what.clade) target.clade = records::clade{{}, now.id};
  const auto copy = *this;
  self_->request(runs, caf::infinite, kill_atom_v, target)
      .then(
          [copy, what](const kill_outcomes& outcomes) {
            for (const auto& each : outcomes) {
              if (each.how != dispatch::proof::none) continue;
              log_warning("{} was killed by a policy, without proof yet: kill it for that",
                          each.scope);
            }
            if (what.clade) copy.change_surely(lineage::clade_killed{});
          },
          [copy, what](const caf::error& failure) {
            log_error("lineage {} is not killed yet: {}", copy.self_->state.current.id.str(),
                      from_caf(failure).message());
            copy.self_->state.later.push_back([copy, what] {
              const bool due = copy.self_->state.current.due != lineage::policy_action::none;
              if (due) copy.one(what);
            });
          });
}

void conductor::one(const lineage::roll_back&) const {
  const auto copy = *this;
  enqueue([copy] {
    const auto& now = copy.self_->state.current;
    const bool wanted = now.at == lineage::status::active && now.live.empty();
    const bool by_policy = now.due == lineage::policy_action::roll_back;
    if (!wanted || !(by_policy || lineage::must_roll_back(now))) return copy.done();
    const auto reason = [failures = now.own_failures, by_policy,
                         why = now.due_why](const records::ancestor& to) {
      if (by_policy) return why;
      return "generation " + std::to_string(to.of_number) + " failed " + std::to_string(failures) +
             " iterations in a row";
    };
    copy.take_back({}, reason, [copy](const result<void>& outcome) {
      if (outcome) return;
      if (outcome.error().code() == error_code::unavailable) {
        log_error("lineage {} is not rolled back yet: {}", copy.self_->state.current.id.str(),
                  outcome.error().message());
        return copy.self_->state.later.push_back([copy] { copy.one(lineage::roll_back{}); });
      }
      const auto& due = copy.self_->state.current.due_why;
      const auto why = (due.empty() ? "the head failed again and again" : due) +
                       ", and cannot be rolled back: " + outcome.error().message();
      log_error("lineage {}: {}", copy.self_->state.current.id.str(), why);
      copy.change_surely(lineage::pause_requested{lineage::pause_reason::policy, why});
    });
  });
}

}  // namespace germline
