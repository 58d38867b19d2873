#include "coordinator/lineage/conductor.hpp"

#include "common/log.hpp"
#include "coordinator/caf_error.hpp"

namespace germline {

void conductor::enqueue(std::function<void()> job) const {
  self_->state.waiting.push_back(std::move(job));
  start_next();
}

void conductor::done() const {
  self_->state.busy = false;
  self_->state.trouble.clear();
  start_next();
}

void conductor::try_again() const {
  auto& s = self_->state;
  for (const auto& each : std::exchange(s.later, {})) each();
  s.abandon = nullptr;
  if (const auto job = std::exchange(s.again, nullptr)) job();
}

error conductor::storage_error() const {
  return {error_code::unavailable,
          "the lineage waits until the coordinator can write again: " + self_->state.trouble};
}

void conductor::perform(const std::vector<lineage::effect>& effects) const {
  for (const auto& effect : effects) {
    std::visit([this](const auto& e) { one(e); }, effect);
  }
}

void conductor::change(const lineage::event& what, std::function<void(result<void>)> settle) const {
  if (waits_for_storage()) return settle(storage_error());
  const auto copy = *this;
  enqueue([copy, what, settle] { copy.save(what, settle); });
}

void conductor::change_surely(const lineage::event& what) const {
  const auto copy = *this;
  enqueue([copy, what] { copy.save_surely(what); });
}

void conductor::kill(const std::string& why,
                     caf::typed_response_promise<kill_outcome> promise) const {
  const auto copy = *this;
  ++self_->state.kills_waiting;
  self_->state.again = nullptr;
  if (const auto give_way = std::exchange(self_->state.abandon, nullptr)) give_way();
  enqueue([copy, why, promise]() mutable {
    auto& s = copy.self_->state;
    --s.kills_waiting;
    auto t = lineage::apply(s.current, lineage::kill_requested{why});
    if (!t.refused.empty()) {  // retired
      copy.kill_evaluations(why, promise);
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
                        copy.once_the_branch_rests([promise, o]() mutable { promise.deliver(o); });
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

void conductor::kill_evaluations(const std::string& why,
                                 caf::typed_response_promise<kill_outcome> promise) const {
  auto* self = self_;
  const auto copy = *this;
  const auto fail = [promise](const caf::error& failure) mutable { promise.deliver(failure); };
  const auto id = self->state.current.id;
  self->request(config_.store, caf::infinite, kill_atom_v, id, why)
      .then(
          [copy, id, promise, fail] {
            copy.self_->request(copy.config_.dispatcher, caf::infinite, kill_atom_v, id.str())
                .then([promise](const kill_outcome& o) mutable { promise.deliver(o); }, fail);
          },
          fail);
}

void conductor::project() const {
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

void conductor::again_later(const caf::error& failure, std::function<void()> job,
                            std::function<void()> abandon) const {
  auto& s = self_->state;
  const auto why = from_caf(failure).message();
  if (s.trouble != why) log_error("lineage {} waits: {}", s.current.id.str(), why);
  s.trouble = why;
  if (s.kills_waiting > 0) return abandon();
  s.again = std::move(job);
  s.abandon = std::move(abandon);
}

void conductor::once_the_branch_rests(std::function<void()> go_on) const {
  const auto& s = self_->state;
  if (s.current.head_commit.empty()) return go_on();
  const refs::project_request last{s.current.id, s.current.head_commit, s.branch_commit};
  self_->request(config_.refs, caf::infinite, last)
      .then([go_on](const refs::projection&) { go_on(); }, [go_on](const caf::error&) { go_on(); });
}

void conductor::start_next() const {
  auto& s = self_->state;
  if (s.busy || s.waiting.empty()) return;
  s.busy = true;
  auto job = std::move(s.waiting.front());
  s.waiting.pop_front();
  job();
}

void conductor::save(const lineage::event& what, std::function<void(result<void>)> settle) const {
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

void conductor::save_surely(const lineage::event& what) const {
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

void conductor::enqueue_behind_kills(std::function<void()> job) const {
  self_->state.waiting.push_back(std::move(job));
}

void conductor::adopt(const lineage::transition& t) const {
  const auto before = self_->state.current.at;
  self_->state.current = t.next;
  if (before != t.next.at) {
    log_info("lineage {} is {} {} {}", t.next.id.str(), lineage::to_string(t.next.at),
             lineage::to_string(t.next.why_paused), t.next.details);
  }
  if (config_.measured.replays && before == lineage::status::active && before != t.next.at) {
    tell_others();
  }
  perform(t.effects);
}

void conductor::one(const lineage::offer_item&) const {
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

void conductor::one(const lineage::withdraw_item&) const {
  self_->send(config_.dispatcher, withdraw_atom_v, self_->state.current.live);
}

void conductor::projected(const refs::project_request& request, const refs::projection& p) const {
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

}  // namespace germline
