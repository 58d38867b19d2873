#include "coordinator/dispatch/dispatcher.hpp"

#include <algorithm>

#include "common/log.hpp"
#include "common/money.hpp"
#include "common/text/tags.hpp"
#include "common/text/utf8.hpp"
#include "coordinator/actor_guard.hpp"
#include "coordinator/caf_error.hpp"

namespace germline {
namespace {

using self_pointer = dispatcher_actor::stateful_pointer<dispatcher_state>;

constexpr std::size_t max_waiting_events = 4'096;  // between two ticks; more are dropped
constexpr std::size_t max_version_bytes = 64;
constexpr std::size_t max_trouble_bytes = 512;
constexpr std::size_t max_accounts = 256;  // in one message
constexpr auto tick_interval = std::chrono::milliseconds(200);

dispatch::departure departure_of(const v1::AttemptCleaned& gone) {
  constexpr std::size_t max_why_bytes = 8 * 1024;
  dispatch::departure how;
  how.why = gone.why().empty() ? "its worker says that it is gone" : gone.why();
  how.why = printable(how.why.substr(0, max_why_bytes));
  how.lasting = gone.lasting();
  how.no_provider = gone.no_provider();
  how.by_gateway = gone.by_gateway();
  how.trouble = valid_utf8(gone.trouble(), max_trouble_bytes);
  if (gone.has_usage()) how.cost = records::cost_of(gone.usage());
  return how;
}

/// Runs events through the state and their effects. A copy is held by each handler.
class executor {
 public:
  executor(self_pointer self, dispatcher_config config) : self_(self), config_(std::move(config)) {}

  std::int64_t now() const { return config_.env.time->boot_ms(); }
  std::int64_t utc_ms() const { return config_.env.time->utc_ms(); }

  void send_event(const dispatch::event& what) const {
    for (const auto& effect : dispatch::apply(self_->state.decisions, what)) {
      std::visit([this](const auto& e) { perform(e); }, effect);
    }
  }

  void on_worker(const v1::WorkerMessage& message, const worker_link_ptr& link,
                 const std::string& worker) const {
    auto& s = self_->state;
    if (message.has_hello()) {
      const auto refused = dispatch::why_not_taken(s.decisions, worker, message.hello().place());
      if (!refused.empty()) {
        log_warning("{}", refused);
        return link->close(refused);
      }
      auto& present = s.links[worker];
      if (present && present != link) present->close("the worker has joined anew");
      present = link;
      const auto& hello = message.hello();
      std::vector<std::string> tags(hello.tags().begin(), hello.tags().end());
      std::ranges::sort(tags);
      log_info("worker {} joined with {} slots{}{}", worker, hello.slots(),
               tags.empty() ? "" : " and the tags ", join_tags(tags));
      send_event(dispatch::worker_joined{
          worker,
          hello.base_digest(),
          hello.slots(),
          {hello.running_attempts().begin(), hello.running_attempts().end()},
          now(),
          std::move(tags),
          valid_utf8(hello.version(), max_version_bytes),
          hello.place(),
          valid_utf8(hello.trouble(), max_trouble_bytes)});
      note(worker);
      return;
    }
    const auto found = s.links.find(worker);
    if (found == s.links.end() || found->second != link) return;  // an old stream's last words
    switch (message.kind_case()) {
      case v1::WorkerMessage::kHeartbeat: {
        const auto& beat = message.heartbeat();
        send_event(dispatch::heartbeat{worker,
                                       {beat.attempts().begin(), beat.attempts().end()},
                                       now(),
                                       valid_utf8(beat.trouble(), max_trouble_bytes)});
        v1::CoordinatorMessage answer;
        answer.mutable_heartbeat_reply()->set_sent_boot_ms(beat.sent_boot_ms());
        link->send(std::move(answer));
        break;
      }
      case v1::WorkerMessage::kProgress:
        keep(message.progress().event());
        break;
      case v1::WorkerMessage::kResult: {
        flush_events();  // what led to the result is in the record before what comes of it
        const auto& result = message.result();
        s.results[result.attempt_id()] = std::make_shared<const v1::AttemptResult>(result);
        send_event(dispatch::result_arrived{worker, result.attempt_id(), result.fence(),
                                            records::cost_of(result.usage())});
        break;
      }
      case v1::WorkerMessage::kCleaned:
        flush_events();
        send_event(dispatch::attempt_cleaned{worker, message.cleaned().attempt_id(),
                                             departure_of(message.cleaned()), now()});
        break;
      case v1::WorkerMessage::kAccounts:
        reconcile(worker, message.accounts());
        break;
      case v1::WorkerMessage::kLeaving:
        log_info("worker {} is leaving", worker);
        send_event(dispatch::worker_left{worker});  // its link still carries what it cleans up
        note(worker);
        break;
      default:
        break;
    }
  }

  void left(const std::string& worker) const {
    log_warning("worker {} has left", worker);
    send_event(dispatch::worker_left{worker});
    note(worker);
  }

  /// What the record says of the workers, as if each had been here and left.
  void recall() const {
    const auto utc_ms = config_.env.time->utc_ms();
    for (const auto& each : config_.workers) {
      send_event(dispatch::worker_known{each.id, each.base_digest, each.slots,
                                        now() - (utc_ms - each.seen_ms), each.tags, each.version,
                                        each.cordoned, each.cordon_why, each.place});
    }
  }

  void cordon(const records::cordon& word, caf::typed_response_promise<void> promise) const {
    if (!self_->state.decisions.workers.contains(word.worker)) {
      promise.deliver(to_caf({error_code::not_found, "there is no worker '" + word.worker + "'"}));
      return;
    }
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, word)
        .then(
            [copy, word, promise]() mutable {
              log_info("worker {} is {}cordoned{}{}", word.worker, word.cordoned ? "" : "un",
                       word.why.empty() ? "" : ": ", printable(word.why));
              copy.send_event(dispatch::worker_cordoned{word.worker, word.cordoned, word.why});
              deliver_done(promise);
            },
            [promise](const caf::error& failure) mutable { promise.deliver(failure); });
  }

  void set_share(const records::share_change& change,
                 caf::typed_response_promise<void> promise) const {
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, change)
        .then(
            [copy, run = change.run, promise](const dispatch::run_share& share) mutable {
              log_info("run {} has the priority {} and the weight {}", run.str(), share.priority,
                       share.weight);
              copy.send_event(dispatch::share_set{run.str(), share});
              deliver_done(promise);
            },
            [promise](const caf::error& failure) mutable { promise.deliver(failure); });
  }

  void set_budget(const records::budget_change& change,
                  caf::typed_response_promise<void> promise) const {
    self_->request(config_.store, caf::infinite, change)
        .then([promise]() mutable { deliver_done(promise); },
              [promise](const caf::error& failure) mutable { promise.deliver(failure); });
  }

  /// Nothing new begins while there is no room for what would come of it.
  void look_for_room() const {
    auto wait_for = config_.well->why_no_leases();
    if (wait_for != self_->state.decisions.leases_wait_for) {
      send_event(dispatch::leasing_held{std::move(wait_for)});
    }
  }

  void flush_events() const {
    auto& events = self_->state.events;
    if (events.empty()) return;
    self_->send(config_.store,
                std::make_shared<const std::vector<v1::ProgressEvent>>(std::exchange(events, {})));
  }

 private:
  /// Into the record, for later lives of the coordinator.
  void note(const std::string& worker) const {
    const auto& known = self_->state.decisions.workers.at(worker);
    self_->send(config_.store, records::known_worker{worker,
                                                     config_.env.time->utc_ms(),
                                                     known.base_digest,
                                                     known.slots,
                                                     known.version,
                                                     known.tags,
                                                     false,
                                                     {},
                                                     known.place});
  }

  /// What the worker's journals say. What led to it is in the record by then: messages to the store
  /// are dealt with in their order.
  void reconcile(const std::string& worker, const v1::LateAccounts& told) const {
    records::late_accounts accounts{worker, {}, config_.env.time->utc_ms()};
    for (const auto& each : told.accounts()) {
      if (accounts.accounts.size() == max_accounts) break;
      accounts.accounts.push_back({each.attempt_id(), records::cost_of(each.usage())});
    }
    const auto copy = *this;
    self_->request(config_.store, caf::infinite, std::move(accounts))
        .then(
            [copy, worker](const records::late_accounts_taken& taken) {
              const auto& back = taken.given_back;
              if (back != amount()) {
                log_info("the journals of worker {} give {}, {} and {} back", worker,
                         format_usd(back.money), format_amount(unit::tokens, back.tokens),
                         format_amount(unit::requests, back.requests));
              }
              v1::CoordinatorMessage answer;
              for (const auto& each : taken.attempts) {
                answer.mutable_accounts_reply()->add_attempts(each);
              }
              if (!taken.attempts.empty()) copy.tell(worker, std::move(answer));
            },
            [worker](const caf::error& failure) {
              log_warning("what worker {} says of its attempts' accounts is not recorded: {}",
                          worker, from_caf(failure).message());
            });
  }

  void keep(const v1::ProgressEvent& event) const {
    auto& events = self_->state.events;
    if (event.ByteSizeLong() > 8 * 1024 || events.size() >= max_waiting_events) return;
    events.push_back(event);
  }

  void tell(const std::string& worker, v1::CoordinatorMessage message) const {
    const auto link = self_->state.links.find(worker);
    if (link != self_->state.links.end() && link->second) link->second->send(std::move(message));
  }

  void perform(const dispatch::record_grant& e) const {
    const records::grant_request request{e.offer.item,
                                         attempt_id::make(*config_.env.time, *config_.env.random),
                                         e.offer.fence, e.worker, config_.env.time->utc_ms()};
    auto* self = self_;
    const auto copy = *this;
    self->request(config_.store, caf::infinite, request)
        .then(
            [copy, self, request](const lease_ptr& lease) {
              self->state.leases[request.item.str()] = lease;
              copy.send_event(dispatch::grant_recorded{request.item, request.attempt, copy.now()});
            },
            [copy, request](const caf::error& failure) {
              copy.grant_failed(request.item, from_caf(failure));
            });
  }

  /// That the budget is spent, that nobody is to run it, and that there is no such item or fence,
  /// are answers for good.
  void grant_failed(const item_id& item, const error& why) const {
    log_warning("item {} is not leased: {}", item.str(), why.message());
    const bool is_final = why.code() == error_code::resource_exhausted ||
                          why.code() == error_code::failed_precondition ||
                          why.code() == error_code::cancelled ||
                          why.code() == error_code::not_found;
    if (!is_final) {
      const bool may_come_free = why.code() == error_code::permission_denied;
      const std::string place = may_come_free ? "" : "the record, which cannot be written: ";
      return send_event(
          dispatch::grant_refused{item, false, place + printable(why.message()), now()});
    }
    const auto owner = self_->state.owners.find(item.str());
    if (owner != self_->state.owners.end()) {
      if (why.code() == error_code::resource_exhausted) {
        self_->send(owner->second, budget_atom_v, item, why.message());
      } else if (why.code() == error_code::cancelled) {
        self_->send(owner->second, unwanted_atom_v, item, why.message());
      }
      self_->state.owners.erase(owner);
    }
    send_event(dispatch::grant_refused{item, true, why.message(), now()});
  }

  void perform(const dispatch::send_lease& e) const {
    const auto found = self_->state.leases.find(e.item.str());
    if (found == self_->state.leases.end()) return;
    v1::CoordinatorMessage message;
    *message.mutable_lease() = *found->second;
    message.mutable_lease()->set_lease_ms(config_.times.lease_ms);
    self_->state.leases.erase(found);
    log_info("attempt {} of {} is leased to {}", e.attempt.str(), e.item.str(), e.worker);
    tell(e.worker, std::move(message));
  }

  void perform(const dispatch::send_welcome& e) const {
    v1::CoordinatorMessage message;
    auto* welcome = message.mutable_welcome();
    welcome->set_coordinator_id(config_.coordinator_id);
    welcome->set_heartbeat_ms(config_.times.heartbeat_ms);
    welcome->set_lease_ms(config_.times.lease_ms);
    for (const auto& attempt : e.forget) welcome->add_forget_attempts(attempt);
    tell(e.worker, std::move(message));
  }

  void perform(const dispatch::send_kill& e) const {
    v1::CoordinatorMessage message;
    message.mutable_kill()->set_attempt_id(e.attempt);
    message.mutable_kill()->set_why("this attempt no longer holds the lease");
    tell(e.worker, std::move(message));
  }

  void perform(const dispatch::judge& e) const {
    auto& s = self_->state;
    const auto result = s.results.find(e.attempt.str());
    const auto owner = s.owners.find(e.item.str());
    if (result == s.results.end() || owner == s.owners.end()) {
      send_event(dispatch::result_judged{e.item, false, false, "nobody waits for it", now()});
      return;
    }
    const auto& entry = s.decisions.items.at(e.item.str());
    const auto worker = s.decisions.workers.find(entry.worker());
    const std::string base = worker == s.decisions.workers.end() ? "" : worker->second.base_digest;
    const auto copy = *this;
    self_->request(owner->second, caf::infinite, judge_atom_v, e.item, result->second, base)
        .then(
            [copy, item = e.item](const judgement& j) {
              copy.send_event(
                  dispatch::result_judged{item, j.accepted, j.is_final, j.why, copy.now()});
            },
            [copy, item = e.item](const caf::error& failure) {
              copy.send_event(dispatch::result_judged{item, false, false,
                                                      from_caf(failure).message(), copy.now()});
            });
  }

  void perform(const dispatch::reply_result& e) const {
    self_->state.results.erase(e.attempt);
    if (!e.accepted) {
      log_warning("result of {} is refused: {}", e.attempt, e.why);
      if (auto attempt = attempt_id::parse(e.attempt)) {
        self_->send(config_.store, refused_atom_v, *attempt);
      }
    }
    v1::CoordinatorMessage message;
    auto* answer = message.mutable_result_reply();
    answer->set_attempt_id(e.attempt);
    answer->set_accepted(e.accepted);
    answer->set_why(e.why);
    tell(e.worker, std::move(message));
  }

  void perform(const dispatch::record_lost& e) const {
    log_warning("attempt {} of {} is lost: {}", e.attempt.str(), e.item.str(), e.how.why);
    self_->send(config_.store, lost_atom_v,
                records::attempt_loss{e.attempt, e.how.why, e.how.cost, e.excused});
  }

  void perform(const dispatch::item_given_up& e) const {
    const auto owner = self_->state.owners.find(e.item.str());
    if (owner == self_->state.owners.end()) return;
    self_->send(owner->second, given_up_atom_v, e.item, e.why);
    self_->state.owners.erase(owner);
  }

  void perform(const dispatch::item_held& e) const {
    const auto owner = self_->state.owners.find(e.item.str());
    if (owner == self_->state.owners.end()) return;
    self_->send(owner->second, held_atom_v, e.item, "worker " + e.worker + ": " + e.why,
                e.by_gateway);
    self_->state.owners.erase(owner);
  }

  void perform(const dispatch::attempt_gone& e) const {
    self_->send(config_.store, settle_atom_v,
                records::attempt_loss{e.attempt, e.how.why, e.how.cost});
  }

  void perform(const dispatch::kill_proved& e) const {
    auto waiting = self_->state.kills.extract(e.scope);
    if (waiting.empty()) return;
    for (auto& kill : waiting.mapped()) {
      kill.promise.deliver(kill_outcome{e.scope, e.how, now() - kill.since_ms, {}});
    }
  }

  void perform(const dispatch::kill_unproved& e) const {
    const auto waiting = self_->state.kills.find(e.scope);
    if (waiting == self_->state.kills.end()) return;
    auto oldest = std::move(waiting->second.front());
    waiting->second.pop_front();
    if (waiting->second.empty()) self_->state.kills.erase(waiting);
    const auto now_ms = now();
    kill_outcome outcome{e.scope, dispatch::proof::none, now_ms - oldest.since_ms, {}};
    const auto utc_ms = config_.env.time->utc_ms();
    for (const auto& each : e.remaining) {
      log_warning("no proof yet that {} of {} is gone from worker {}", each.attempt, e.scope,
                  each.worker);
      const auto named_ms = each.named_ms == 0 ? 0 : utc_ms - (now_ms - each.named_ms);
      outcome.remaining.push_back({each.attempt, each.worker, each.connected, named_ms});
    }
    oldest.promise.deliver(std::move(outcome));
  }

  self_pointer self_;
  dispatcher_config config_;
};

/// `utc_ms` is the same moment as `now_ms`.
fleet_status status_of(const dispatch::state& s, std::int64_t now_ms, std::int64_t utc_ms) {
  fleet_status status{{}, s.leases_wait_for, {}, {}, 0};
  for (const auto& [id, entry] : s.items) {
    if (entry.at() != dispatch::phase::queued) continue;
    if (!entry.wait_for.empty()) {
      status.held_back[id] = entry.wait_for;
    } else if (auto unserved = dispatch::why_unserved(s, entry.offer); !unserved.empty()) {
      status.held_back[id] = std::move(unserved);
    } else if (entry.not_before_ms() > now_ms) {
      const auto due = to_iso8601(utc_ms + entry.not_before_ms() - now_ms + 999).substr(11, 8);
      status.held_back[id] = "another attempt after the one that was lost, at " + due + " UTC";
    } else if (const auto priority = s.shares.of(entry.offer.run).priority;
               (status.first_run.empty() || priority > status.first_priority) &&
               dispatch::has_fit_worker(s, entry.offer)) {
      status.first_run = entry.offer.run;
      status.first_priority = priority;
    }
  }
  auto& out = status.workers;
  for (const auto& [name, worker] : s.workers) {
    out.push_back({name, worker.base_digest, worker.connected, worker.slots,
                   dispatch::busy_slots(s, name), now_ms - worker.last_seen_ms, worker.tags,
                   worker.version, worker.cordoned, worker.cordon_why,
                   dispatch::attempts_of(s, name), dispatch::is_silent(s, worker), worker.trouble});
  }
  return status;
}

/// Owners of items that have left the state are let go.
void sweep(dispatcher_state& s) {
  for (const auto& item : s.decisions.items.take_erased()) {
    if (s.decisions.items.contains(item)) continue;  // it was offered again
    s.owners.erase(item);
    s.leases.erase(item);
  }
}

}  // namespace

dispatcher_actor::behavior_type dispatcher_behavior(self_pointer self, dispatcher_config config) {
  guard_actor(self);
  self->state.decisions.times = config.times;
  const executor run(self, std::move(config));
  run.recall();
  self->delayed_send(self, tick_interval, tick_atom_v);
  return {
      [self, run](offer_atom, const dispatch::item_offer& offer, const item_owner& owner) {
        self->state.owners[offer.item.str()] = owner;
        run.send_event(dispatch::item_offered{offer});
      },
      [run](withdraw_atom, const item_id& item) { run.send_event(dispatch::item_withdrawn{item}); },
      [self, run](restore_atom, const records::open_item& item, const item_owner& owner) {
        self->state.owners[item.offer.item.str()] = owner;
        run.send_event(dispatch::lease_restored{item.offer, item.attempt, item.worker, item.killing,
                                                run.now()});
      },
      [self, run](kill_atom, const std::string& scope) -> caf::result<kill_outcome> {
        auto promise = self->make_response_promise<kill_outcome>();
        self->state.kills[scope].push_back({promise, run.now()});
        run.send_event(dispatch::kill_requested{scope, run.now()});
        return promise;
      },
      [run](const worker_message_ptr& message, const worker_link_ptr& link,
            const std::string& worker) {
        run.on_worker(*message, link, worker);
        link->read_more();
      },
      [self, run](left_atom, const worker_link_ptr& link, const std::string& worker) {
        const auto found = self->state.links.find(worker);
        if (found == self->state.links.end() || found->second != link) return;
        self->state.links.erase(found);
        run.left(worker);
      },
      [self, run](const records::cordon& word) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.cordon(word, promise);
        return promise;
      },
      [self, run](const records::share_change& change) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.set_share(change, promise);
        return promise;
      },
      [self, run](const records::budget_change& change) -> caf::result<void> {
        auto promise = self->make_response_promise<void>();
        run.set_budget(change, promise);
        return promise;
      },
      [self, run](tick_atom) {
        run.look_for_room();
        run.send_event(dispatch::tick{run.now()});
        run.flush_events();
        sweep(self->state);
        self->delayed_send(self, tick_interval, tick_atom_v);
      },
      [self, run](status_atom) {
        return status_of(self->state.decisions, run.now(), run.utc_ms());
      },
  };
}

}  // namespace germline
