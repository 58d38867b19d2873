#include "coordinator/lineage/runs_actor.hpp"

#include <caf/send.hpp>
#include <caf/typed_response_promise.hpp>

#include <algorithm>
#include <utility>

#include "common/log.hpp"
#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/lineage/lineage_actor.hpp"
#include "coordinator/lineage/verdict.hpp"

namespace germline {
namespace {

using self_pointer = runs_actor::stateful_pointer<runs_actor_state>;

caf::error no_such_lineage() {
  return to_caf(error(error_code::not_found, "no such lineage goes on"));
}

class registrar {
 public:
  registrar(self_pointer self, runs_config config) : self_(self), config_(std::move(config)) {}

  /// Takes up what the record says goes on.
  void load() const {
    std::map<std::string, const records::loaded_run*> runs;
    for (const auto& run : config_.loaded.runs) {
      auto& entry = self_->state.runs[run.run.str()];
      entry.id = run.run;
      entry.seed_commit = run.seed_commit;
      entry.folder = run.folder;
      entry.measured = run.measured;
      runs[run.run.str()] = &run;
    }
    std::map<std::string, bool> leased;
    for (const auto& item : config_.loaded.items) {
      const bool iterates = item.kind == v1::WORK_KIND_ITERATE;
      if (iterates && !item.attempt.empty()) leased[item.lineage] = true;
    }
    for (const auto& known : config_.loaded.lineages) {
      if (known.state.at == lineage::status::retired) {
        catch_up(known);
        continue;
      }
      const auto& its = *runs.at(known.run.str());
      const auto actor = spawn(known.state, known.branch_commit, its.folder, its.measured, true,
                               leased.contains(known.state.id.str()));
      if (!known.state.head_generation.empty()) continue;
      self_->state.runs[known.run.str()].unfounded.push_back(actor);
      // The seed was judged, but the lineage had not heard of it.
      const auto& run = *runs.at(known.run.str());
      if (run.found_state == "founded") {
        self_->send(actor, founded_atom_v, run.generation_0, run.seed_commit);
      } else if (run.found_state == "refused") {
        self_->send(actor, refused_atom_v, run.found_details);
      }
    }
    for (const auto& item : config_.loaded.items) restore(item);
  }

  void create(const records::new_run& run, caf::typed_response_promise<void> promise) const {
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, run)
        .then(
            [copy, run, promise]() mutable {
              auto& entry = copy.self_->state.runs[run.id.str()];
              entry.id = run.id;
              entry.seed_commit = run.seed_commit;
              entry.folder = run.folder;
              entry.measured = run.measured;
              entry.found_item = run.found_item;
              for (const auto& id : run.lineages) {
                lineage::state fresh;
                fresh.id = id;
                fresh.max_iterations = run.max_iterations;
                if (!run.replayed.empty()) {
                  const auto& again = run.replayed.at(entry.unfounded.size());
                  fresh.max_iterations = again.iterations;
                  fresh.last_number = again.last_number;
                }
                entry.unfounded.push_back(
                    copy.spawn(fresh, {}, run.folder, run.measured, false, false));
              }
              copy.offer(run.found_item);
              deliver_done(promise);
            },
            [promise](const caf::error& failure) mutable { promise.deliver(failure); });
  }

  void judge(const item_id& item, const result_ptr& result, const std::string& base,
             caf::typed_response_promise<judgement> promise) const {
    run_entry* run = by_item(item);
    if (run == nullptr) {
      promise.deliver(judgement{false, true, "no run waits for this seed"});
      return;
    }
    records::seed_end end;
    end.run = run->id;
    end.judged = make_verdict(*result, item, config_.env.time->utc_ms());
    end.judged.commit = run->seed_commit;
    end.base_digest = base;
    auto settle = [promise](const judgement& j) mutable { promise.deliver(j); };
    if (end.judged.how == lineage::ending::scored) end.judged.how = lineage::ending::failed;
    if (end.judged.how != lineage::ending::evolved) return finish(end, settle);
    end.born = records::birth{generation_id::make(*config_.env.time, *config_.env.random),
                              {},
                              0,
                              0,
                              run->seed_commit,
                              result->source_id(),
                              result->build_id(),
                              result->artefact_id(),
                              make_evaluations(config_.env, run->measured)};
    end.protected_tests = {result->protected_tests().begin(), result->protected_tests().end()};
    check_artefact(end, settle);
  }

  /// No objects come with a found item; what is checked is that the artefact is stored.
  void check_artefact(const records::seed_end& end,
                      const std::function<void(const judgement&)>& settle) const {
    const auto copy = *this;
    self_
        ->request(config_.refs, caf::infinite,
                  refs::ingest_request{end.judged.attempt, {}, {}, {}, end.born->artefact_id})
        .then([copy, end, settle] { copy.finish(end, settle); },
              [copy, end, settle](const caf::error& failure) {
                if (may_pass(failure)) {
                  return copy.later(failure,
                                    [copy, end, settle] { copy.check_artefact(end, settle); });
                }
                auto refused = end;
                refused.born.reset();
                refused.judged.how = lineage::ending::rejected;
                refused.judged.details = from_caf(failure).message();
                copy.finish(refused, settle);
              });
  }

  void give_up(const item_id& item, const std::string& why) const {
    run_entry* run = by_item(item);
    if (run == nullptr) return;
    records::seed_end end;
    end.run = run->id;
    end.judged.item = item;
    end.judged.how = lineage::ending::failed;
    end.judged.reason = "attempts_lost";
    end.judged.details = why;
    end.judged.now_ms = config_.env.time->utc_ms();
    finish(end, [](const judgement&) {});
  }

  void kill(const kill_target& target, caf::typed_response_promise<kill_outcomes> promise) const {
    auto all = std::make_shared<gathered_kill>();
    all->promise = promise;
    all->target = target;
    all->waiting = 1;
    for (const auto& run : target.runs) kill_seed(run, all);
    if (!target.lineages.empty()) bar_and_kill(all);
    if (target.clade) {
      self_->state.clade_kills.push_back(all);
      kill_clade(all);
    }
    one_less(all);
  }

  void fork(const records::new_fork& fresh, caf::typed_response_promise<void> promise) const {
    const auto copy = *this;
    ++self_->state.forks_in_flight;
    self_->request(config_.store, caf::infinite, fresh)
        .then(
            [copy, fresh, promise](const records::forked& made) mutable {
              log_info("lineage {} is {}", made.state.id.str(), made.state.details);
              // As after a start: the record has it, and it goes on from there.
              copy.spawn(made.state, {}, made.folder, made.measured, true, false);
              deliver_done(promise);
              copy.fork_answered();
            },
            [copy, promise](const caf::error& failure) mutable {
              promise.deliver(failure);
              copy.fork_answered();
            });
  }

  void retire(const lineage_id& id, const std::string& why,
              caf::typed_response_promise<void> promise) const {
    const auto actor = self_->state.lineages.find(id.str());
    if (actor == self_->state.lineages.end()) {
      promise.deliver(no_such_lineage());
      return;
    }
    auto* self = self_;
    self->request(actor->second, caf::infinite, retire_atom_v, why)
        .then(
            [self, id, promise]() mutable {
              self->state.lineages.erase(id.str());  // with its last handle the actor ends
              deliver_done(promise);
            },
            [promise](const caf::error& failure) mutable { promise.deliver(failure); });
  }

  void drain(const lineage_id& id, const std::string& why,
             caf::typed_response_promise<void> promise) const {
    const auto actor = self_->state.lineages.find(id.str());
    if (actor == self_->state.lineages.end()) {
      promise.deliver(no_such_lineage());
      return;
    }
    self_->request(actor->second, caf::infinite, drain_atom_v, why)
        .then([promise]() mutable { deliver_done(promise); },
              [promise](const caf::error& failure) mutable { promise.deliver(failure); });
  }

  void listen() const {
    self_->send(config_.evaluations, listen_atom_v,
                caf::actor_cast<score_listener>(runs_actor(self_)));
  }

  void try_again() const {
    for (const auto& each : std::exchange(self_->state.later, {})) each();
  }

  void check_branches() const {
    for (const auto& [id, actor] : self_->state.lineages) self_->send(actor, check_atom_v);
  }

 private:
  run_entry* by_item(const item_id& item) const {
    for (auto& [id, entry] : self_->state.runs) {
      if (entry.found_item == item) return &entry;
    }
    return nullptr;
  }

  item_owner as_owner() const { return caf::actor_cast<item_owner>(runs_actor(self_)); }

  void offer(const item_id& item) const {
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, offer_atom_v, item)
        .then(
            [copy](const dispatch::item_offer& o) {
              copy.self_->send(copy.config_.dispatcher, offer_atom_v, o, copy.as_owner());
            },
            [copy, item](const caf::error& failure) {
              if (may_pass(failure)) return copy.later(failure, [copy, item] { copy.offer(item); });
              log_error("a seed cannot be offered: {}", from_caf(failure).message());
            });
  }

  void restore(const records::open_item& item) const {
    if (item.kind == v1::WORK_KIND_EVALUATE) return;  // evaluations_actor's
    auto owner = as_owner();
    if (item.lineage.empty()) {
      if (!item.killing) self_->state.runs[item.run.str()].found_item = item.offer.item;
    } else {
      const auto actor = self_->state.lineages.find(item.lineage);
      if (actor == self_->state.lineages.end()) return;
      owner = caf::actor_cast<item_owner>(actor->second);
    }
    if (!item.attempt.empty()) {
      self_->send(config_.dispatcher, restore_atom_v, item, owner);
    } else if (item.lineage.empty()) {
      self_->send(config_.dispatcher, offer_atom_v, item.offer, owner);
    }  // a lineage offers its own item
  }

  lineage_actor spawn(const lineage::state& state, const std::string& branch,
                      const std::string& folder, const records::measuring& measured, bool loaded,
                      bool leased) const {
    lineage_config config{config_.env,
                          config_.store,
                          config_.refs,
                          config_.dispatcher,
                          config_.evaluations,
                          caf::actor_cast<caf::weak_actor_ptr>(runs_actor(self_)),
                          measured,
                          state,
                          branch,
                          folder,
                          loaded,
                          leased};
    const auto actor = self_->spawn(lineage_behavior, std::move(config));
    self_->state.lineages[state.id.str()] = actor;
    return actor;
  }

  void finish(const records::seed_end& end, std::function<void(const judgement&)> settle) const {
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, end)
        .then(
            [copy, end, settle] {
              settle({true, true, {}});
              copy.founded(end);
            },
            [copy, end, settle](const caf::error& failure) {
              if (may_pass(failure)) {
                return copy.later(failure, [copy, end, settle] { copy.finish(end, settle); });
              }
              settle({false, false, from_caf(failure).message()});
            });
  }

  void later(const caf::error& failure, std::function<void()> what) const {
    log_error("a founding waits: {}", from_caf(failure).message());
    self_->state.later.push_back(std::move(what));
  }

  void founded(const records::seed_end& end) const {
    auto& entry = self_->state.runs[end.run.str()];
    entry.found_item = {};
    log_info("run {} is {}", end.run.str(), end.born ? "founded" : "refused");
    if (end.born) {
      for (const auto& item : end.born->evaluations) {
        self_->send(config_.evaluations, offer_atom_v, item);
      }
    }
    for (const auto& actor : std::exchange(entry.unfounded, {})) {
      if (end.born) {
        self_->send(actor, founded_atom_v, end.born->id, entry.seed_commit);
      } else {
        self_->send(actor, refused_atom_v, end.judged.details);
      }
    }
  }

  /// Brings the branch of a lineage that has no actor any more to its head.
  void catch_up(const records::loaded_lineage& known) const {
    const auto& s = known.state;
    if (s.head_commit.empty() || s.head_commit == known.branch_commit) return;
    const refs::project_request request{s.id, s.head_commit, known.branch_commit};
    auto* self = self_;
    self->request(config_.refs, caf::infinite, request)
        .then(
            [self, request, store = config_.store](const refs::projection& p) {
              if (p.how == refs::standing::diverged) return;
              self->send(store, branch_atom_v, request.lineage, request.target);
            },
            [request](const caf::error& failure) {
              log_error("branch of {} lags: {}", request.lineage.str(),
                        from_caf(failure).message());
            });
  }

  using kill_ptr = std::shared_ptr<gathered_kill>;

  void kill_seed(const run_id& run, const kill_ptr& all) const {
    ++all->waiting;
    kill_items(run, run.str(), all);
  }

  /// The items of a run or lineage in the record, then what runs of them; one answer is waited for.
  template <class Id>
  void kill_items(const Id& id, const std::string& scope, const kill_ptr& all) const {
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, kill_atom_v, id, all->target.why)
        .then(
            [copy, scope, all] {
              const auto run = copy.self_->state.runs.find(scope);
              if (run != copy.self_->state.runs.end()) run->second.found_item = {};
              copy.self_->request(copy.config_.dispatcher, caf::infinite, kill_atom_v, scope)
                  .then([copy, all](const kill_outcome& outcome) { copy.take(all, outcome); },
                        [copy, all](const caf::error& failure) { copy.fail(all, failure); });
            },
            [copy, all](const caf::error& failure) { copy.fail(all, failure); });
  }

  void kill_one(const lineage_id& id, const kill_ptr& all) const {
    if (!all->asked.insert(id.str()).second) return;
    const auto copy = *this;
    ++all->waiting;
    const auto actor = self_->state.lineages.find(id.str());
    if (actor == self_->state.lineages.end()) {  // retired: what is left to run are evaluations
      return kill_items(id, id.str(), all);
    }
    self_->request(actor->second, caf::infinite, kill_atom_v, all->target.why)
        .then([copy, all](const kill_outcome& outcome) { copy.take(all, outcome); },
              [copy, all](const caf::error& failure) { copy.fail(all, failure); });
  }

  /// What a person names is no parent of others any more, whatever becomes of the kill.
  void bar_and_kill(const kill_ptr& all) const {
    const auto copy = *this;
    ++all->waiting;
    self_->request(config_.store, caf::infinite, records::bar_request{all->target.lineages})
        .then(
            [copy, all] {
              for (const auto& id : all->target.lineages) copy.kill_one(id, all);
              copy.one_less(all);
            },
            [copy, all](const caf::error& failure) {
              for (const auto& id : all->target.lineages) copy.kill_one(id, all);
              copy.fail(all, failure);  // all of them are asked all the same
            });
  }

  /// An evaluation in a lineage that goes on; it has ended in the record.
  void kill_evaluation(const item_id& id, const kill_ptr& all) const {
    if (!all->asked.insert(id.str()).second) return;
    const auto copy = *this;
    ++all->waiting;
    self_->request(config_.dispatcher, caf::infinite, kill_atom_v, id.str())
        .then([copy, all](const kill_outcome& outcome) { copy.take(all, outcome); },
              [copy, all](const caf::error& failure) { copy.fail(all, failure); });
  }

  /// What the record has of the clade now. Forks go through this actor to the record, as this
  /// question does: the answer has each that was answered before it.
  void kill_clade(const kill_ptr& all) const {
    const auto copy = *this;
    ++all->waiting;
    const records::clade_kill what{*all->target.clade, all->target.why, config_.env.time->utc_ms()};
    self_->request(config_.store, caf::infinite, what)
        .then(
            [copy, all](const records::clade_lineages& found) {
              for (const auto& id : found.of) copy.kill_one(id, all);
              for (const auto& id : found.evaluations) copy.kill_evaluation(id, all);
              copy.one_less(all);
            },
            [copy, all](const caf::error& failure) { copy.fail(all, failure); });
  }

  /// One that was forked while a clade is killed may be of it.
  void fork_answered() const {
    --self_->state.forks_in_flight;
    const auto killing = self_->state.clade_kills;
    for (const auto& all : killing) kill_clade(all);
  }

  void take(const kill_ptr& all, const kill_outcome& outcome) const {
    all->outcomes.push_back(outcome);
    one_less(all);
  }

  /// The first failure is the answer; whatever else was asked goes on.
  void fail(const kill_ptr& all, const caf::error& failure) const {
    if (all->promise.pending()) all->promise.deliver(failure);
    std::erase(self_->state.clade_kills, all);
    --all->waiting;
  }

  /// A clade is dealt with only when no fork is on its way to the record: the last that is answered
  /// asks for it once more.
  void one_less(const kill_ptr& all) const {
    if (--all->waiting > 0) return;
    if (all->target.clade && self_->state.forks_in_flight > 0) return;
    std::erase(self_->state.clade_kills, all);
    if (all->promise.pending()) all->promise.deliver(std::move(all->outcomes));
  }

  self_pointer self_;
  runs_config config_;
};

}  // namespace

runs_actor::behavior_type runs_behavior(self_pointer self, runs_config config) {
  guard_actor(self);
  const auto check_interval = config.check_interval;
  const registrar run(self, std::move(config));
  // What waits to be stored holds its lineage: none would end by itself.
  self->set_exit_handler([self](caf::exit_msg& ends) {
    for (const auto& [id, actor] : self->state.lineages)
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    self->quit(ends.reason);
  });
  run.load();
  run.listen();
  self->delayed_send(self, check_interval, tick_atom_v);
  return {
      [self, run](judge_atom, const item_id& item, const result_ptr& result,
                  const std::string& base) -> caf::result<judgement> {
        auto promise = self->make_response_promise<judgement>();
        run.judge(item, result, base, promise);
        return promise;
      },
      [run](given_up_atom, const item_id& item, const std::string& why) { run.give_up(item, why); },
      [run](held_atom, const item_id& item, const std::string& why, bool) {
        run.give_up(item, why);
      },
      [](unwanted_atom, const item_id&, const std::string&) {},  // a founding is wanted
      [](budget_atom, const item_id&, const std::string&) {},    // founding spends nothing
      [self, run](const records::new_run& fresh) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.create(fresh, promise);
        return promise;
      },
      [self, run](kill_atom, const kill_target& target) -> caf::result<kill_outcomes> {
        auto promise = self->make_response_promise<kill_outcomes>();
        run.kill(target, promise);
        return promise;
      },
      [self](pause_atom, const lineage_id& id, const std::string& why) -> caf::result<void> {
        const auto actor = self->state.lineages.find(id.str());
        if (actor == self->state.lineages.end()) return no_such_lineage();
        return self->delegate(actor->second, pause_atom_v, why);
      },
      [self](resume_atom, const lineage_id& id, const std::string& why) -> caf::result<void> {
        const auto actor = self->state.lineages.find(id.str());
        if (actor == self->state.lineages.end()) return no_such_lineage();
        return self->delegate(actor->second, resume_atom_v, why);
      },
      [self](rollback_atom, const lineage_id& id, const generation_id& to,
             const std::string& why) -> caf::result<void> {
        const auto actor = self->state.lineages.find(id.str());
        if (actor == self->state.lineages.end()) return no_such_lineage();
        return self->delegate(actor->second, rollback_atom_v, to, why);
      },
      [self, run](const records::new_fork& fresh) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.fork(fresh, promise);
        return promise;
      },
      [self, run](retire_atom, const lineage_id& id, const std::string& why) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.retire(id, why, promise);
        return promise;
      },
      [self, run](drain_atom, const lineage_id& id, const std::string& why) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.drain(id, why, promise);
        return promise;
      },
      [self](scored_atom) {
        for (const auto& [id, actor] : self->state.lineages) self->send(actor, scored_atom_v);
      },
      [self, run, check_interval](tick_atom) {
        run.try_again();
        run.check_branches();
        self->delayed_send(self, check_interval, tick_atom_v);
      },
  };
}

}  // namespace germline
