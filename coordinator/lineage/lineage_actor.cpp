#include "coordinator/lineage/lineage_actor.hpp"

#include <caf/typed_response_promise.hpp>

#include "common/log.hpp"
#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/lineage/verdict.hpp"

namespace germline {
namespace {

using self_pointer = lineage_actor::stateful_pointer<lineage_actor_state>;

/// Whether it is the coordinator's own storage that failed: the same may succeed later.
bool may_pass(const caf::error& failure) {
  return from_caf(failure).code() == error_code::unavailable;
}

/// Carries out transitions and effects. A copy is held by each handler.
class conductor {
 public:
  conductor(self_pointer self, lineage_config config) : self_(self), config_(std::move(config)) {}

  /// Runs `job` when nothing else is under way. The job must lead to exactly one done().
  void enqueue(std::function<void()> job) const {
    self_->state.waiting.push_back(std::move(job));
    start_next();
  }

  void done() const {
    self_->state.busy = false;
    self_->state.trouble.clear();
    start_next();
  }

  /// At each check: what could not be stored before is tried again.
  void try_again() const {
    auto& s = self_->state;
    for (const auto& each : std::exchange(s.later, {})) each();
    s.abandon = nullptr;
    if (const auto job = std::exchange(s.again, nullptr)) job();
  }
  bool waits_for_storage() const { return self_->state.again != nullptr; }
  /// For people, who are not to wait behind it.
  error storage_error() const {
    return {error_code::unavailable,
            "the lineage waits until the coordinator can write again: " + self_->state.trouble};
  }

  void perform(const std::vector<lineage::effect>& effects) const {
    for (const auto& effect : effects) {
      std::visit([this](const auto& e) { one(e); }, effect);
    }
  }

  /// Applies `what` to the lineage, saves it, and does what follows. For events whose only trace is
  /// the lineage's row. `settle` gets the outcome.
  void change(const lineage::event& what, std::function<void(result<void>)> settle) const {
    if (waits_for_storage()) return settle(storage_error());
    const auto copy = *this;
    enqueue([copy, what, settle] { copy.save(what, settle); });
  }

  /// The same of what nobody would ask for a second time: until it is saved.
  void change_surely(const lineage::event& what) const {
    const auto copy = *this;
    enqueue([copy, what] { copy.save_surely(what); });
  }

  void judge(const item_id& item, const result_ptr& result,
             caf::typed_response_promise<judgement> promise) const {
    const auto copy = *this;
    enqueue([copy, item, result, promise] { copy.take_in(item, result, promise); });
  }

  void give_up(const item_id& item, const std::string& why) const {
    const auto copy = *this;
    enqueue([copy, item, why] {
      if (copy.self_->state.current.live != item) return copy.done();
      const auto repeat = [copy, item, why](const judgement& j) {
        const bool gave_way = !j.is_final && copy.self_->state.kills_waiting > 0;
        if (gave_way) copy.give_up(item, why);
      };
      records::verdict verdict;
      verdict.item = item;
      verdict.how = lineage::ending::failed;
      verdict.reason = "attempts_lost";
      verdict.details = why;
      verdict.now_ms = copy.config_.env.time->utc_ms();
      copy.commit_own_context(std::move(verdict), repeat);
    });
  }

  void kill(const std::string& why, caf::typed_response_promise<kill_outcome> promise) const {
    const auto copy = *this;
    ++self_->state.kills_waiting;
    self_->state.again = nullptr;
    if (const auto give_way = std::exchange(self_->state.abandon, nullptr)) give_way();
    enqueue([copy, why, promise]() mutable {
      auto& s = copy.self_->state;
      --s.kills_waiting;
      auto t = lineage::apply(s.current, lineage::kill_requested{why});
      if (!t.refused.empty()) {  // retired: nothing runs, and nothing ever will
        promise.deliver(kill_outcome{s.current.id.str(), dispatch::proof::nothing_ran, 0, {}});
        return copy.done();
      }
      auto* self = copy.self_;
      self->request(copy.config_.store, caf::infinite, kill_atom_v, t.next)
          .then(
              [copy, t, promise, self]() mutable {
                self->state.current = t.next;
                log_warning("lineage {} is killed: {}", t.next.id.str(), t.next.details);
                self->request(copy.config_.dispatcher, caf::infinite, kill_atom_v, t.next.id.str())
                    .then(
                        [copy, promise](const kill_outcome& o) mutable {
                          copy.once_the_branch_rests(
                              [promise, o]() mutable { promise.deliver(o); });
                        },
                        [promise](const caf::error& failure) mutable { promise.deliver(failure); });
                copy.done();
              },
              [copy, promise](const caf::error& failure) mutable {
                promise.deliver(failure);
                copy.done();
              });
    });
  }

  /// By a person.
  void roll_back(const generation_id& to, const std::string& why,
                 std::function<void(result<void>)> settle) const {
    if (waits_for_storage()) return settle(storage_error());
    const auto copy = *this;
    enqueue([copy, to, why, settle] {
      copy.take_back(
          to, [why](const records::ancestor&) { return why; }, settle);
    });
  }

  /// Final. The branch is brought to the head first: who retires has nobody left to do it later.
  void retire(const std::string& why, std::function<void(result<void>)> settle) const {
    if (waits_for_storage()) return settle(storage_error());
    const auto copy = *this;
    enqueue([copy, why, settle] {
      copy.drop_waiting("the lineage was retired while it waited", settle, [copy, why, settle] {
        const auto& s = copy.self_->state;
        const auto go_on = [copy, why, settle] {
          copy.save(lineage::retire_requested{why}, settle);
        };
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

  void project() const {
    auto* self = self_;
    const auto& s = self->state;
    if (s.current.head_commit.empty()) return;
    const refs::project_request request{s.current.id, s.current.head_commit, s.branch_commit};
    const auto copy = *this;
    self->request(config_.refs, caf::infinite, request)
        .then([copy, request](const refs::projection& p) { copy.projected(request, p); },
              [request](const caf::error& failure) {
                log_error("branch of {} lags: {}", request.lineage.str(),
                          from_caf(failure).message());
              });
  }

 private:
  /// Part of a job that failed for want of storage: it is tried again at the next check. `abandon`
  /// ends the job instead, where a kill wants to come first.
  void again_later(const caf::error& failure, std::function<void()> job,
                   std::function<void()> abandon) const {
    auto& s = self_->state;
    const auto why = from_caf(failure).message();
    if (s.trouble != why) log_error("lineage {} waits: {}", s.current.id.str(), why);
    s.trouble = why;
    if (s.kills_waiting > 0) return abandon();
    s.again = std::move(job);
    s.abandon = std::move(abandon);
  }

  /// Goes on when no earlier request to move the branch is under way any more: with a kill's proof
  /// it must not move, and requests are dealt with one after the other.
  void once_the_branch_rests(std::function<void()> go_on) const {
    const auto& s = self_->state;
    if (s.current.head_commit.empty()) return go_on();
    const refs::project_request last{s.current.id, s.current.head_commit, s.branch_commit};
    self_->request(config_.refs, caf::infinite, last)
        .then([go_on](const refs::projection&) { go_on(); },
              [go_on](const caf::error&) { go_on(); });
  }

  void start_next() const {
    auto& s = self_->state;
    if (s.busy || s.waiting.empty()) return;
    s.busy = true;
    auto job = std::move(s.waiting.front());
    s.waiting.pop_front();
    job();
  }

  /// The last of a job: applies `what`, saves the lineage, and does what follows.
  void save(const lineage::event& what, std::function<void(result<void>)> settle) const {
    auto t = lineage::apply(self_->state.current, what);
    if (!t.refused.empty()) {
      settle(error(error_code::failed_precondition, t.refused));
      return done();
    }
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, save_atom_v, t.next)
        .then(
            [copy, t, settle] {
              copy.adopt(t);
              settle({});
              copy.done();
            },
            [copy, settle](const caf::error& failure) {
              settle(from_caf(failure));
              copy.done();
            });
  }

  void save_surely(const lineage::event& what) const {
    auto t = lineage::apply(self_->state.current, what);
    if (!t.refused.empty()) return done();
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, save_atom_v, t.next)
        .then(
            [copy, t] {
              copy.adopt(t);
              copy.done();
            },
            [copy, what](const caf::error& failure) {
              if (!may_pass(failure)) {
                log_error("lineage {} could not be saved: {}", copy.self_->state.current.id.str(),
                          from_caf(failure).message());
                return copy.done();
              }
              copy.again_later(
                  failure, [copy, what] { copy.save_surely(what); },
                  [copy, what] {
                    copy.enqueue_behind_kills([copy, what] { copy.save_surely(what); });
                    copy.done();
                  });
            });
  }

  /// Of a job that gave way. Its turn comes after those that wait now.
  void enqueue_behind_kills(std::function<void()> job) const {
    self_->state.waiting.push_back(std::move(job));
  }

  /// Part of a job: goes on once no iteration waits that nobody runs. One that was offered to
  /// nobody when the lineage was paused would never end by itself.
  void drop_waiting(const std::string& why, std::function<void(result<void>)> settle,
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

  using reason_for = std::function<std::string(const records::ancestor&)>;

  /// The last of a job: the commit first, then the record; the branch follows from the record.
  void take_back(const generation_id& to, const reason_for& reason,
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

  void author_rollback(const records::ancestor& to, const std::string& why,
                       std::function<void(result<void>)> settle) const {
    const auto& now = self_->state.current;
    const refs::rollback_request request{
        now.id, now.head_commit, to.commit, to.id, config_.folder, why, config_.env.time->utc_ms()};
    const auto copy = *this;
    self_->request(config_.refs, caf::infinite, request)
        .then([copy, to, why, settle](
                  const std::string& commit) { copy.record_rollback(to, why, commit, settle); },
              [copy, settle](const caf::error& failure) {
                settle(from_caf(failure));
                copy.done();
              });
  }

  void record_rollback(const records::ancestor& to, const std::string& why,
                       const std::string& commit, std::function<void(result<void>)> settle) const {
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

  void adopt(const lineage::transition& t) const {
    const auto before = self_->state.current.at;
    self_->state.current = t.next;
    if (before != t.next.at) {
      log_info("lineage {} is {} {} {}", t.next.id.str(), lineage::to_string(t.next.at),
               lineage::to_string(t.next.why_paused), t.next.details);
    }
    perform(t.effects);
  }

  void one(const lineage::begin_iteration&) const {
    const auto copy = *this;
    enqueue([copy] { copy.begin(); });
  }

  void begin() const {
    const auto copy = *this;
    const auto& env = config_.env;
    const item_id item = item_id::make(*env.time, *env.random);
    auto t = lineage::apply(self_->state.current, lineage::iteration_begun{item});
    const bool wanted = self_->state.current.at == lineage::status::active;
    if (!t.refused.empty() || !wanted) return done();
    self_
        ->request(config_.store, caf::infinite,
                  records::new_iteration{item, t.next, env.time->utc_ms()})
        .then(
            [copy, t] {
              copy.adopt(t);
              copy.done();
            },
            [copy](const caf::error& failure) {
              if (may_pass(failure)) {
                return copy.again_later(
                    failure, [copy] { copy.begin(); },
                    [copy] {
                      copy.enqueue_behind_kills([copy] { copy.begin(); });
                      copy.done();
                    });
              }
              log_error("an iteration cannot begin: {}", from_caf(failure).message());
              copy.change_surely(lineage::pause_requested{lineage::pause_reason::policy,
                                                          from_caf(failure).message()});
              copy.done();
            });
  }

  void one(const lineage::roll_back&) const {
    const auto copy = *this;
    enqueue([copy] {
      const auto& now = copy.self_->state.current;
      const bool wanted = now.at == lineage::status::active && now.live.empty();
      if (!wanted || !lineage::must_roll_back(now)) return copy.done();
      const auto reason = [failures = now.own_failures](const records::ancestor& to) {
        return "generation " + std::to_string(to.of_number) + " failed " +
               std::to_string(failures) + " iterations in a row";
      };
      copy.take_back({}, reason, [copy](const result<void>& outcome) {
        if (outcome) return;
        if (outcome.error().code() == error_code::unavailable) {
          log_error("lineage {} is not rolled back yet: {}", copy.self_->state.current.id.str(),
                    outcome.error().message());
          return copy.self_->state.later.push_back([copy] { copy.one(lineage::roll_back{}); });
        }
        const auto why = "the head failed again and again, and cannot be rolled back: " +
                         outcome.error().message();
        log_error("lineage {}: {}", copy.self_->state.current.id.str(), why);
        copy.change_surely(lineage::pause_requested{lineage::pause_reason::policy, why});
      });
    });
  }

  void one(const lineage::offer_item&) const {
    auto* self = self_;
    const auto config = config_;
    const auto copy = *this;
    const auto item = self->state.current.live;
    self->request(config.store, caf::infinite, offer_atom_v, item)
        .then(
            [self, config](const dispatch::item_offer& offer) {
              self->send(config.dispatcher, offer_atom_v, offer,
                         caf::actor_cast<item_owner>(lineage_actor(self)));
            },
            [copy, item](const caf::error& failure) {
              log_error("an item cannot be offered: {}", from_caf(failure).message());
              if (!may_pass(failure)) return;
              copy.self_->state.later.push_back([copy, item] {
                const auto& now = copy.self_->state.current;
                const bool wanted = now.at == lineage::status::active && now.live == item;
                if (wanted) copy.one(lineage::offer_item{});
              });
            });
  }

  void one(const lineage::withdraw_item&) const {
    self_->send(config_.dispatcher, withdraw_atom_v, self_->state.current.live);
  }
  void one(const lineage::project_branch&) const { project(); }
  void one(const lineage::prove_killed&) const {}  // done by kill(), which has the promise

  /// Objects first, then the record; the branch follows from the record.
  void take_in(const item_id& item, const result_ptr& result,
               caf::typed_response_promise<judgement> promise) const {
    auto verdict = make_verdict(*result, item, config_.env.time->utc_ms());
    if (item != self_->state.current.live) {
      promise.deliver(judgement{false, true, "this is not the lineage's live iteration"});
      return done();
    }
    std::optional<records::birth> born;
    if (verdict.how == lineage::ending::evolved) born = make_birth(*result);
    auto settle = [promise](const judgement& j) mutable { promise.deliver(j); };
    if (verdict.commit.empty()) {
      if (born) verdict = unusable(verdict, "no commit came with the result");
      return commit_own_context(std::move(verdict), settle);
    }
    const refs::ingest_request request{verdict.attempt, verdict.commit, result->raw_commit(),
                                       self_->state.current.head_commit,
                                       born ? born->artefact_id : std::string()};
    store_objects(request, verdict, born, settle);
  }

  /// What the worker brought may be unfit to be stored; that the coordinator has no room is no
  /// fault of it.
  void store_objects(const refs::ingest_request& request, const records::verdict& verdict,
                     const std::optional<records::birth>& born,
                     const std::function<void(const judgement&)>& settle) const {
    const auto copy = *this;
    self_->request(config_.refs, caf::infinite, request)
        .then([copy, verdict, born, settle] { copy.commit(verdict, born, settle); },
              [copy, request, verdict, born, settle](const caf::error& failure) {
                if (may_pass(failure)) {
                  return copy.again_later(
                      failure,
                      [copy, request, verdict, born, settle] {
                        copy.store_objects(request, verdict, born, settle);
                      },
                      [copy, failure, settle] { copy.give_way(failure, settle); });
                }
                copy.commit_own_context(copy.unusable(verdict, from_caf(failure).message()),
                                        settle);
              });
  }

  /// The judgement is left for another time.
  void give_way(const caf::error& failure,
                const std::function<void(const judgement&)>& settle) const {
    settle({false, false, from_caf(failure).message()});
    done();
  }

  /// Records an ending to which no worker's commit belongs: the context commit, from which the next
  /// generation learns of it, is authored here.
  void commit_own_context(records::verdict verdict,
                          std::function<void(const judgement&)> settle) const {
    const auto& current = self_->state.current;
    const refs::context_request request{
        current.id,
        verdict.item,
        current.head_commit,
        config_.folder,
        "iteration " + std::to_string(current.last_number + 1) + ": " + verdict.reason,
        verdict.details,
        verdict.now_ms};
    const auto copy = *this;
    self_->request(config_.refs, caf::infinite, request)
        .then(
            [copy, verdict, settle](const std::string& id) {
              auto with_commit = verdict;
              with_commit.commit = id;
              copy.commit(std::move(with_commit), std::nullopt, settle);
            },
            [copy, verdict, settle](const caf::error& failure) {
              if (may_pass(failure)) {
                return copy.again_later(
                    failure, [copy, verdict, settle] { copy.commit_own_context(verdict, settle); },
                    [copy, failure, settle] { copy.give_way(failure, settle); });
              }
              log_error("no context commit for {}: {}", verdict.item.str(),
                        from_caf(failure).message());
              copy.commit(verdict, std::nullopt, settle);
            });
  }

  /// What becomes of a result whose objects or artefact the coordinator cannot take.
  records::verdict unusable(records::verdict verdict, const std::string& why) const {
    verdict.how = lineage::ending::rejected;
    verdict.reason = "objects";
    verdict.details = why + "\n" + verdict.details;
    verdict.commit.clear();
    return verdict;
  }

  records::birth make_birth(const v1::AttemptResult& result) const {
    const auto& s = self_->state.current;
    return {generation_id::make(*config_.env.time, *config_.env.random),
            s.head_generation,
            s.depth + 1,
            s.last_number + 1,
            result.commit(),
            result.source_id(),
            result.build_id(),
            result.artefact_id()};
  }

  void commit(records::verdict verdict, std::optional<records::birth> born,
              std::function<void(const judgement&)> settle) const {
    lineage::iteration_ended ended{verdict.how, verdict.commit, {}, verdict.reason};
    if (born) ended.generation = born->id;
    auto t = lineage::apply(self_->state.current, ended);
    if (!t.refused.empty()) {
      settle({false, true, t.refused});
      return done();
    }
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, records::iteration_end{verdict, t.next, born})
        .then(
            [copy, t, verdict, settle] {
              log_info("iteration {} ended: {} {}", verdict.item.str(),
                       lineage::to_string(verdict.how), verdict.reason);
              settle({true, true, {}});
              copy.adopt(t);
              copy.done();
            },
            [copy, verdict, born, settle](const caf::error& failure) {
              if (may_pass(failure)) {
                return copy.again_later(
                    failure, [copy, verdict, born, settle] { copy.commit(verdict, born, settle); },
                    [copy, failure, settle] { copy.give_way(failure, settle); });
              }
              copy.give_way(failure, settle);
            });
  }

  void projected(const refs::project_request& request, const refs::projection& p) const {
    auto& s = self_->state;
    if (p.how == refs::standing::diverged) {
      log_warning("branch of {} diverged: {}", request.lineage.str(), p.details);
      if (s.current.at == lineage::status::active) {
        change(lineage::pause_requested{lineage::pause_reason::diverged, p.details},
               [](const result<void>&) {});
      }
      return;
    }
    if (p.how == refs::standing::mended) {
      log_warning("branch of {} was mended: {}", request.lineage.str(), p.details);
    }
    if (s.branch_commit == request.target) return;
    s.branch_commit = request.target;
    self_->send(config_.store, branch_atom_v, request.lineage, request.target);
  }

  self_pointer self_;
  lineage_config config_;
};

std::function<void(result<void>)> answer(caf::typed_response_promise<void> promise) {
  return [promise](const result<void>& outcome) mutable {
    if (outcome) {
      deliver_done(promise);
    } else {
      promise.deliver(to_caf(outcome.error()));
    }
  };
}

}  // namespace

lineage_actor::behavior_type lineage_behavior(self_pointer self, lineage_config config) {
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
      [run](held_atom, const item_id&, const std::string& why) {
        run.change_surely(lineage::pause_requested{lineage::pause_reason::policy, why});
      },
      [run](budget_atom, const item_id&) {
        run.change_surely(lineage::pause_requested{
            lineage::pause_reason::budget, "the run's budget is spent or held by other attempts"});
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
      [self, run](check_atom) {
        const auto& s = self->state.current;
        run.try_again();
        if (run.waits_for_storage()) return;
        if (s.at == lineage::status::active || s.at == lineage::status::paused) run.project();
      },
  };
}

}  // namespace germline
