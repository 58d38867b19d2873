// The part of the conductor that begins iterations, from the head or from a parent that the run's
// strategy chooses.
#include "common/log.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/lineage/conductor.hpp"

namespace germline {

void conductor::one(const lineage::begin_iteration&) const {
  const auto copy = *this;
  enqueue([copy] { copy.begin(); });
}

void conductor::choose_again() const {
  if (self_->state.waits_for_score) one(lineage::begin_iteration{});
}

void conductor::begin() const {
  auto& s = self_->state;
  s.waits_for_score = false;
  const bool wanted = s.current.at == lineage::status::active && s.current.live.empty();
  if (!wanted) return done();
  if (config_.measured.strategy == "chain" && !config_.measured.replays) {
    return record_iteration({item_id::make(*config_.env.time, *config_.env.random)}, {});
  }
  const auto copy = *this;
  const records::parent_request asked{s.current.id,
                                      item_id::make(*config_.env.time, *config_.env.random),
                                      config_.env.time->utc_ms()};
  self_->request(config_.store, caf::infinite, asked)
      .then(
          [copy, asked](const records::parent& parent) {
            if (parent.measures) {
              copy.self_->send(copy.config_.evaluations, offer_atom_v, asked.evaluation);
            }
            copy.begin_from(parent);
          },
          [copy](const caf::error& failure) { copy.begin_later(failure); });
}

void conductor::begin_from(const records::parent& parent) const {
  auto& s = self_->state;
  if (parent.waits) {
    s.waits_for_score = true;
    return done();
  }
  if (parent.pauses) {
    change_surely(*parent.pauses);
    return done();
  }
  if (parent.generation.empty()) {
    change_surely(lineage::pause_requested{
        lineage::pause_reason::policy, "no generation is left that an iteration could start from"});
    return done();
  }
  if (parent.rolls_back) {
    const auto copy = *this;
    return take_back(
        parent.generation,
        [](const records::ancestor&) -> std::string { return "as in the run that is replayed"; },
        [copy](const result<void>& done) {
          if (done) return;
          copy.change_surely(
              lineage::pause_requested{lineage::pause_reason::diverged, done.error().message()});
        });
  }
  lineage::iteration_begun begun{item_id::make(*config_.env.time, *config_.env.random),
                                 parent.how.has_value()};
  if (parent.generation == s.current.head_generation) return show_inspirations(begun, parent);
  const refs::move_request move{s.current.id, s.current.head_commit, parent.commit,
                                parent.generation, config_.env.time->utc_ms()};
  const auto copy = *this;
  self_->request(config_.refs, caf::infinite, move)
      .then(
          [copy, begun, parent](const std::string& commit) {
            auto moved = begun;
            moved.parent = lineage::new_parent{parent.generation, commit, parent.depth};
            copy.show_inspirations(moved, parent);
          },
          [copy](const caf::error& failure) { copy.begin_later(failure); });
}

/// Makes what the agent can merge of them.
void conductor::show_inspirations(const lineage::iteration_begun& what,
                                  const records::parent& parent) const {
  if (parent.given) return give_source(what, parent);
  if (parent.inspirations.empty()) return record_iteration(what, parent);
  refs::graft_request asked{config_.folder, {}};
  for (const auto& each : parent.inspirations) {
    asked.grafts.push_back({each.source, each.base, each.generation, each.born_ms});
  }
  const auto copy = *this;
  self_->request(config_.refs, caf::infinite, asked)
      .then(
          [copy, what, parent](const std::vector<std::string>& commits) {
            auto shown = parent;
            for (std::size_t i = 0; i < shown.inspirations.size(); ++i) {
              shown.inspirations[i].commit = commits.at(i);
            }
            copy.record_iteration(what, shown);
          },
          [copy, what, parent](const caf::error& failure) {
            if (may_pass(failure)) return copy.begin_later(failure);
            log_error("lineage {} is shown no inspirations: {}", copy.self_->state.current.id.str(),
                      from_caf(failure).message());
            auto alone = parent;
            alone.inspirations.clear();
            copy.record_iteration(what, alone);
          });
}

/// Makes a commit of it on what the iteration starts from, as if an agent had.
void conductor::give_source(const lineage::iteration_begun& what,
                            const records::parent& parent) const {
  const auto& onto = what.parent ? what.parent->commit : self_->state.current.head_commit;
  const refs::graft_request asked{
      config_.folder,
      {{parent.given->what.commit, onto, parent.given->what.origin, config_.env.time->utc_ms()}}};
  const auto copy = *this;
  self_->request(config_.refs, caf::infinite, asked)
      .then(
          [copy, what, parent](const std::vector<std::string>& commits) {
            auto given = parent;
            given.given->commit = commits.at(0);
            copy.record_iteration(what, given);
          },
          [copy](const caf::error& failure) { copy.begin_later(failure); });
}

void conductor::record_iteration(const lineage::iteration_begun& what,
                                 const records::parent& parent) const {
  auto t = lineage::apply(self_->state.current, what);
  if (!t.refused.empty()) return done();
  const auto copy = *this;
  self_
      ->request(config_.store, caf::infinite,
                records::new_iteration{what.item, t.next, config_.env.time->utc_ms(), parent.how,
                                       parent.inspirations, parent.given, parent.replays})
      .then(
          [copy, t] {
            copy.adopt(t);
            copy.done();
          },
          [copy, how = parent.how](const caf::error& failure) {
            const bool was_killed = from_caf(failure).code() == error_code::failed_precondition;
            if (!how || !was_killed) return copy.begin_later(failure);
            copy.one(lineage::begin_iteration{});  // another parent is chosen
            copy.done();
          });
}

void conductor::begin_later(const caf::error& failure) const {
  const auto copy = *this;
  if (may_pass(failure)) {
    return again_later(
        failure, [copy] { copy.begin(); },
        [copy] {
          copy.enqueue_behind_kills([copy] { copy.begin(); });
          copy.done();
        });
  }
  log_error("an iteration cannot begin: {}", from_caf(failure).message());
  change_surely(
      lineage::pause_requested{lineage::pause_reason::policy, from_caf(failure).message()});
  done();
}

}  // namespace germline
