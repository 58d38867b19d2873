// The part of the conductor that judges what becomes of an iteration.
#include "common/log.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/lineage/conductor.hpp"
#include "coordinator/lineage/verdict.hpp"

namespace germline {

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
          make_evaluations(config_.env, config_.measured)};
}

void conductor::measure(const records::birth& born) const {
  for (const auto& item : born.evaluations) self_->send(config_.evaluations, offer_atom_v, item);
}

void conductor::commit(records::verdict verdict, std::optional<records::birth> born,
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
          [copy, t, verdict, born, settle] {
            log_info("iteration {} ended: {} {}", verdict.item.str(),
                     lineage::to_string(verdict.how), verdict.reason);
            settle({true, true, {}});
            if (born) copy.measure(*born);
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

}  // namespace germline
