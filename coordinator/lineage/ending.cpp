// The part of the conductor that judges what becomes of an iteration.
#include <algorithm>

#include "common/log.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/evolution/inspirations.hpp"
#include "coordinator/lineage/conductor.hpp"
#include "coordinator/lineage/verdict.hpp"

namespace germline {
namespace {

/// What it says beyond as many as it can have been shown is not looked at.
std::vector<std::string> merged_by(const v1::AttemptResult& result) {
  const auto count = std::min(result.merged_size(), evolution::inspirations_max);
  return {result.merged().begin(), result.merged().begin() + count};
}

}  // namespace

void conductor::judge(const item_id& item, const result_ptr& result,
                      caf::typed_response_promise<judgement> promise) const {
  const auto copy = *this;
  enqueue([copy, item, result, promise] { copy.take_in(item, result, promise); });
}

void conductor::give_up(const item_id& item, const std::string& why) const {
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

void conductor::take_in(const item_id& item, const result_ptr& result,
                        caf::typed_response_promise<judgement> promise) const {
  auto verdict = make_verdict(*result, item, config_.env.time->utc_ms());
  if (item != self_->state.current.live) {
    promise.deliver(judgement{false, true, "this is not the lineage's live iteration"});
    return done();
  }
  std::optional<records::birth> born;
  if (verdict.how == lineage::ending::evolved) born = make_birth(*result);
  auto settle = [promise](const judgement& j) mutable { promise.deliver(j); };
  if (verdict.how == lineage::ending::scored) {
    return commit_own_context(unusable(verdict, "an iteration cannot end with a score"), settle);
  }
  if (verdict.commit.empty()) {
    if (born) verdict = unusable(verdict, "no commit came with the result");
    return commit_own_context(std::move(verdict), settle);
  }
  const refs::ingest_request request{verdict.attempt, verdict.commit, result->raw_commit(),
                                     self_->state.current.head_commit,
                                     born ? born->artefact_id : std::string()};
  store_objects(request, verdict, born, settle);
}

void conductor::store_objects(const refs::ingest_request& request, const records::verdict& verdict,
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
              copy.commit_own_context(copy.unusable(verdict, from_caf(failure).message()), settle);
            });
}

void conductor::give_way(const caf::error& failure,
                         const std::function<void(const judgement&)>& settle) const {
  settle({false, false, from_caf(failure).message()});
  done();
}

void conductor::commit_own_context(records::verdict verdict,
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

records::verdict conductor::unusable(records::verdict verdict, const std::string& why) const {
  verdict.how = lineage::ending::rejected;
  verdict.reason = "objects";
  verdict.details = why + "\n" + verdict.details;
  verdict.commit.clear();
  return verdict;
}

records::birth conductor::make_birth(const v1::AttemptResult& result) const {
  const auto& s = self_->state.current;
  return {generation_id::make(*config_.env.time, *config_.env.random),
          s.head_generation,
          s.depth + 1,
          s.last_number + 1,
          result.commit(),
          result.source_id(),
          result.build_id(),
          result.artefact_id(),
          make_evaluations(config_.env, config_.measured),
          merged_by(result)};
}

void conductor::measure(const records::birth& born) const {
  for (const auto& item : born.evaluations) self_->send(config_.evaluations, offer_atom_v, item);
}

void conductor::commit(records::verdict verdict, std::optional<records::birth> born,
                       std::function<void(const judgement&)> settle) const {
  weigh(std::make_shared<ended_iteration>(
      ended_iteration{std::move(verdict), std::move(born), std::move(settle)}));
}

void conductor::weigh(const ended_ptr& ended) const {
  if (ended->verdict.commit.empty()) return judge_by_policy(ended);
  const auto copy = *this;
  self_
      ->request(config_.refs, caf::infinite,
                refs::size_request{ended->verdict.commit, config_.folder})
      .then(
          [copy, ended](const refs::sizes& found) {
            ended->sizes = {found.source_bytes, found.context_bytes};
            copy.judge_by_policy(ended);
          },
          [copy, ended](const caf::error& failure) {
            log_error("how much {} has is not known: {}", ended->verdict.commit,
                      from_caf(failure).message());
            copy.judge_by_policy(ended);
          });
}

void conductor::judge_by_policy(const ended_ptr& ended) const {
  if (config_.measured.policy.empty()) return record(ended);
  const auto copy = *this;
  self_
      ->request(config_.store, caf::infinite,
                records::policy_request{
                    ended->verdict, ended->born ? ended->born->id : generation_id(), ended->sizes})
      .then(
          [copy, ended](const records::findings& found) {
            ended->found = found;
            copy.record(ended);
          },
          [copy, ended](const caf::error& failure) {
            if (may_pass(failure)) {
              return copy.again_later(
                  failure, [copy, ended] { copy.judge_by_policy(ended); },
                  [copy, ended, failure] { copy.give_way(failure, ended->settle); });
            }
            // The ending stands; what its rules say of it a person has to see.
            ended->found = {
                {"not judged", lineage::policy_action::pause, from_caf(failure).message(), true}};
            copy.record(ended);
          });
}

void conductor::tell_others() const {
  const auto runs =
      caf::actor_cast<runs_actor>(caf::actor_cast<caf::strong_actor_ptr>(config_.runs));
  if (runs) self_->send(runs, scored_atom_v);
}

void conductor::record(const ended_ptr& ended) const {
  const auto& verdict = ended->verdict;
  lineage::iteration_ended what{verdict.how, verdict.commit, {}, verdict.reason};
  what.is_again = config_.measured.replays;
  if (ended->born) what.generation = ended->born->id;
  for (const auto& each : ended->found) {
    log_warning("lineage {} hit {}: {}", self_->state.current.id.str(), each.rule, each.words);
    if (!each.is_done) continue;
    what.act = each.action;
    what.act_why = each.words + " (policy: " + each.rule + ")";
  }
  auto t = lineage::apply(self_->state.current, what);
  if (!t.refused.empty()) {
    ended->settle({false, true, t.refused});
    return done();
  }
  // Else nothing tells of it: a person had paused the lineage already, or it retires.
  const bool is_told = t.next.details == what.act_why ||
                       std::ranges::any_of(t.effects, [](const lineage::effect& each) {
                         return std::holds_alternative<lineage::roll_back>(each) ||
                                std::holds_alternative<lineage::kill_by_policy>(each);
                       });
  auto found = ended->found;
  for (auto& each : found) each.is_done = each.is_done && is_told;
  const auto copy = *this;
  self_
      ->request(config_.store, caf::infinite,
                records::iteration_end{verdict, t.next, ended->born, ended->sizes, found})
      .then(
          [copy, t, ended](bool is_measured) {
            log_info("iteration {} ended: {} {}", ended->verdict.item.str(),
                     lineage::to_string(ended->verdict.how), ended->verdict.reason);
            ended->settle({true, true, {}});
            if (is_measured) copy.measure(*ended->born);
            if (copy.config_.measured.replays) copy.tell_others();
            copy.adopt(t);
            copy.done();
          },
          [copy, ended](const caf::error& failure) {
            if (may_pass(failure)) {
              return copy.again_later(
                  failure, [copy, ended] { copy.record(ended); },
                  [copy, failure, ended] { copy.give_way(failure, ended->settle); });
            }
            copy.give_way(failure, ended->settle);
          });
}

}  // namespace germline
