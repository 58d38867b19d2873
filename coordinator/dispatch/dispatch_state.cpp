#include "coordinator/dispatch/dispatch_state.hpp"

#include <algorithm>

#include "common/text/tags.hpp"

namespace germline::dispatch {
namespace {

using effects = std::vector<effect>;

std::int64_t expiry(const state& s, std::int64_t now_ms) {
  return now_ms + s.times.lease_ms + s.times.guard_ms;
}

/// Ends the kill of `scope` once nothing of it is left.
void prove_if_gone(state& s, const std::string& scope, effects& out) {
  const auto kill = s.kills.find(scope);
  if (kill == s.kills.end()) return;
  if (s.items.has_scope(scope)) return;
  for (std::size_t i = 0; i < kill->second.asked_ms.size(); ++i) {
    out.push_back(kill_proved{scope, kill->second.how});
  }
  s.kills.erase(kill);
}

/// Its slot is free again.
void free_slot(state& s, const item_entry& entry) {
  s.shares.settle(entry.offer.run, entry.worker(), entry.use, s.now_ms);
}

void erase(state& s, const item_entry& entry) {
  if (entry.at() == phase::queued) {
    s.shares.dequeue(entry.offer.run);
  } else {
    free_slot(s, entry);
  }
  s.items.erase(entry);
}

/// The item is over, as far as leases go.
void forget(state& s, const item_entry& entry, effects& out) {
  const std::string scope = entry.offer.scope;
  const std::string item = entry.offer.item.str();
  erase(s, entry);
  prove_if_gone(s, scope, out);
  prove_if_gone(s, item, out);
}

void note_proof(state& s, const std::string& scope, proof how) {
  const auto kill = s.kills.find(scope);
  if (kill != s.kills.end() && kill->second.how != proof::lease_expired) kill->second.how = how;
}

/// Free slots of the connected workers that have any, are not silent or in trouble, and may be
/// leased more.
std::map<std::string, int> free_slots(const state& s) {
  std::map<std::string, int> free;
  for (const auto& [name, worker] : s.workers) {
    const bool may_have =
        worker.connected && !worker.cordoned && !is_silent(s, worker) && worker.trouble.empty();
    const int left = worker.slots - busy_slots(s, name);
    if (may_have && left > 0) free[name] = left;
  }
  return free;
}

bool is_fit(const worker_entry& worker, const item_offer& offer) {
  const bool same_base = offer.base_digest.empty() || offer.base_digest == worker.base_digest;
  return same_base && has_tags(worker.tags, offer.required_tags);
}

/// Nor is it leased what is served as that for now.
bool could_not_serve(const state& s, const std::string& served_as, const std::string& worker) {
  if (served_as.empty()) return false;
  const auto found = s.unserved_by.find({served_as, worker});
  return found != s.unserved_by.end() && found->second.until_ms > s.now_ms;
}

/// But for its slots.
bool may_serve(const state& s, const std::string& name, const worker_entry& worker,
               const item_offer& offer) {
  return worker.connected && !worker.cordoned && worker.trouble.empty() && is_fit(worker, offer) &&
         !could_not_serve(s, offer.served_as(), name);
}

/// Until now.
void charge_what_goes_on(state& s) {
  for (const auto& [worker, items] : s.items.held()) {
    for (const auto& id : items) {
      auto& entry = s.items.at(id);
      s.shares.renew(entry.offer.run, worker, entry.use, s.now_ms);
    }
  }
}

/// Of the run whose turn it is on the worker, of those whose next item it can do; of runs whose
/// turn it is alike, the one whose item came first. nullptr: nobody's.
item_entry* next_on(state& s, const std::string& worker) {
  item_entry* best = nullptr;
  fair_shares::turn least;
  for (const auto& [run, queue] : s.items.queues()) {
    // Evaluations come first in it.
    auto at = could_not_serve(s, run, worker) ? queue.lower_bound({true, 0}) : queue.begin();
    while (at != queue.end() &&
           could_not_serve(s, s.items.at(at->second).offer.served_as(), worker)) {
      ++at;  // in a replay each is for itself
    }
    if (at == queue.end()) continue;
    auto* next = &s.items.at(at->second);
    if (!is_fit(s.workers.at(worker), next->offer)) continue;
    const auto turn = s.shares.turn_of(run, worker);
    const bool is_earlier =
        best == nullptr || turn < least || (!(least < turn) && next->order() < best->order());
    if (!is_earlier) continue;
    best = next;
    least = turn;
  }
  return best;
}

/// Its next item is to be in time.
void expect_successor(state& s, const item_offer& ended) {
  auto& its = s.expected[ended.run];
  its.like = ended;
  ++its.count;
  its.until_ms = s.now_ms + successor_wait_ms;
  s.shares.enqueue(ended.run);
}

void forget_late_successors(state& s) {
  std::erase_if(s.expected, [&](const auto& each) {
    const auto& [run, its] = each;
    const bool is_late = its.until_ms <= s.now_ms;
    for (int i = 0; is_late && i < its.count; ++i) s.shares.dequeue(run);
    return is_late || its.count == 0;
  });
}

/// Whether the slot is to wait for an item of another run than the one whose turn it is of those
/// that have any; it is counted in `kept`, by run.
bool is_kept(const state& s, const std::string& worker, const std::string& first,
             std::map<std::string, int>& kept) {
  for (const auto& [run, its] : s.expected) {
    const bool may_come = !s.items.queues().contains(run) && kept[run] < its.count &&
                          is_fit(s.workers.at(worker), its.like);
    if (!may_come || !(s.shares.turn_of(run, worker) < s.shares.turn_of(first, worker))) continue;
    ++kept[run];
    return true;
  }
  return false;
}

/// Leases queued items to free slots, each time on the worker with most room.
void assign(state& s, effects& out) {
  forget_late_successors(s);
  if (!s.leases_wait_for.empty()) return;
  auto free = free_slots(s);
  if (free.empty()) return;
  s.items.make_ready(s.now_ms);
  charge_what_goes_on(s);
  if (s.items.queues().empty()) return;
  std::map<std::string, int> kept;
  while (!free.empty()) {
    const auto worker = std::ranges::max_element(
        free, [](const auto& a, const auto& b) { return a.second < b.second; });
    item_entry* next = next_on(s, worker->first);
    if (next == nullptr) {
      free.erase(worker);
      continue;
    }
    if (!is_kept(s, worker->first, next->offer.run, kept)) {
      s.items.hold(*next, phase::granting, worker->first);
      next->use =
          s.shares.charge(next->offer.run, worker->first, next->offer.is_evaluation, s.now_ms);
      ++next->offer.fence;
      out.push_back(record_grant{next->offer, worker->first});
    }
    if (--worker->second == 0) free.erase(worker);
  }
}

std::vector<remaining_attempt> remaining_of(const state& s, const std::string& scope) {
  std::vector<remaining_attempt> out;
  for (const auto* entry : s.items.of_scope(scope)) {
    if (entry->attempt().empty()) continue;
    const auto worker = s.workers.find(entry->worker());
    const bool connected = worker != s.workers.end() && worker->second.connected;
    out.push_back({entry->attempt().str(), entry->worker(), connected, entry->named_ms});
  }
  return out;
}

/// Those who have waited long enough for a proof are told that there is none. The kill goes on.
void tell_unproved(state& s, effects& out) {
  for (auto& [scope, kill] : s.kills) {
    auto& asked = kill.asked_ms;
    while (!asked.empty() && asked.front() + s.times.kill_wait_ms <= s.now_ms) {
      asked.pop_front();
      out.push_back(kill_unproved{scope, remaining_of(s, scope)});
    }
  }
}

std::int64_t retry_after(int failures_before) {
  constexpr int most_doublings = 6;
  return std::min(first_retry_ms << std::min(failures_before, most_doublings), longest_retry_ms);
}

void queue_again(state& s, item_entry& entry, std::int64_t not_before_ms) {
  free_slot(s, entry);
  s.shares.enqueue(entry.offer.run);
  s.items.release(entry, not_before_ms);
  entry.cost.reset();
}

/// The attempt of `entry` ended by its worker's own trouble: the item waits for another worker, or
/// for this one's next word, and loses nothing by it.
void excuse(state& s, item_entry& entry, const departure& how, effects& out) {
  out.push_back(record_lost{entry.offer.item, entry.attempt(), how, true});
  if (const auto at = s.workers.find(entry.worker()); at != s.workers.end()) {
    at->second.trouble = how.trouble;
  }
  entry.wait_for = "worker " + entry.worker() + ": " + how.trouble;
  queue_again(s, entry, s.now_ms + retry_after(entry.excused++));
}

/// The worker of `entry` cannot serve it as things stand: another one may. It loses nothing by it.
void pass_on(state& s, item_entry& entry, const departure& how, effects& out) {
  out.push_back(record_lost{entry.offer.item, entry.attempt(), how, true});
  auto& its = s.unserved_by[{entry.offer.served_as(), entry.worker()}];
  its.until_ms =
      s.now_ms + (entry.offer.is_founding ? founding_retry_ms : retry_after(its.times++));
  its.why = how.why;
  queue_again(s, entry, 0);
}

/// What `entry` needs from outside is in trouble, the provider of its model or a mirror: it waits.
void await_provider(state& s, item_entry& entry, const departure& how, effects& out) {
  out.push_back(record_lost{entry.offer.item, entry.attempt(), how, true});
  const auto line = how.why.substr(0, how.why.find('\n'));
  entry.wait_for = (entry.offer.is_evaluation ? "the model's provider: " : "a mirror: ") + line;
  queue_again(s, entry, s.now_ms + retry_after(entry.provider_failures++));
}

bool has_patience(const state& s, item_entry& entry) {
  if (!entry.provider_failed_ms) entry.provider_failed_ms = s.now_ms;
  return s.now_ms - *entry.provider_failed_ms < provider_patience_ms;
}

/// The attempt of `entry` is gone without a result: queue the item again, or give it up. With
/// `waits` not at once, as its worker may need a while.
void lose(state& s, item_entry& entry, const departure& how, effects& out, bool waits = false) {
  out.push_back(record_lost{entry.offer.item, entry.attempt(), how});
  ++entry.offer.lost;
  if (entry.offer.lost >= s.times.lost_limit) {
    const item_id item = entry.offer.item;
    const std::string scope = entry.offer.scope;
    const int lost = entry.offer.lost;
    erase(s, entry);
    out.push_back(item_given_up{
        item, std::to_string(lost) + " attempts were lost, the last one because " + how.why});
    prove_if_gone(s, scope, out);
    return;
  }
  queue_again(s, entry, waits ? s.now_ms + (first_retry_ms << (entry.offer.lost - 1)) : 0);
}

/// The same where it makes no sense to lease it again before a person has mended something.
void hold(state& s, const item_entry& entry, const departure& how, effects& out) {
  const item_id item = entry.offer.item;
  out.push_back(record_lost{item, entry.attempt(), how});
  out.push_back(item_held{item, how.why, entry.worker(), how.by_gateway});
  forget(s, entry, out);
}

/// The killed attempt of `entry` is known to be gone.
void bury(state& s, item_entry& entry, proof how, std::optional<amount> cost, effects& out) {
  if (!entry.attempt().empty()) {
    out.push_back(attempt_gone{entry.attempt(), {"killed", cost}});
  }
  note_proof(s, entry.offer.scope, how);
  note_proof(s, entry.offer.item.str(), how);
  forget(s, entry, out);
}

void on(state& s, const item_offered& e, effects&) {
  if (s.items.contains(e.offer.item.str())) return;
  s.items.add(e.offer);
  s.shares.learn(e.offer.run, e.offer.share);
  s.shares.enqueue(e.offer.run);
  if (const auto its = s.expected.find(e.offer.run); its != s.expected.end()) {
    s.shares.dequeue(e.offer.run);
    if (--its->second.count == 0) s.expected.erase(its);
  }
}

void on(state& s, const item_withdrawn& e, effects&) {
  const auto* found = s.items.find(e.item.str());
  if (found != nullptr && found->at() == phase::queued) erase(s, *found);
}

void on(state& s, const share_set& e, effects&) {
  s.shares.set(e.run, e.share);
}

void on(state& s, const lease_restored& e, effects&) {
  if (const auto* there = s.items.find(e.offer.item.str())) erase(s, *there);
  auto& entry = s.items.add(e.offer);
  s.items.hold(entry, e.killing ? phase::killing : phase::leased, e.worker);
  s.items.name(entry, e.attempt);
  entry.expires_ms = expiry(s, e.now_ms);
  s.shares.learn(e.offer.run, e.offer.share);
  entry.use = s.shares.take_over(e.offer.run, e.worker, e.now_ms);
}

void on(state& s, const worker_joined& e, effects& out) {
  auto& worker = s.workers[e.worker];
  worker.base_digest = e.base_digest;
  worker.slots = e.slots;
  worker.connected = true;
  worker.last_seen_ms = e.now_ms;
  worker.tags = e.tags;
  worker.version = e.version;
  worker.place = e.place;
  worker.trouble = e.trouble;
  // What it lacked a person may have given it.
  std::erase_if(s.unserved_by, [&](const auto& each) { return each.first.second == e.worker; });
  send_welcome welcome{e.worker, {}};
  for (const auto& attempt : e.running) {
    item_entry* entry = s.items.by_attempt(attempt);
    const bool holds = entry != nullptr && entry->worker() == e.worker &&
                       (entry->at() == phase::leased || entry->at() == phase::judging);
    if (holds) {
      entry->expires_ms = expiry(s, e.now_ms);
    } else {
      welcome.forget.push_back(attempt);
    }
  }
  out.push_back(std::move(welcome));
  std::vector<std::string> forgotten;
  for (const auto& id : s.items.held_by(e.worker)) {
    const auto& entry = s.items.at(id);
    if (entry.attempt().empty()) continue;
    if (entry.at() == phase::killing) out.push_back(send_kill{e.worker, entry.attempt().str()});
    const bool named = std::ranges::find(e.running, entry.attempt().str()) != e.running.end();
    if (entry.at() == phase::leased && !named) forgotten.push_back(id);
  }
  // A worker joins when all of its former life at this place is gone: there is no need to wait for
  // the lease.
  for (const auto& id : forgotten) {
    lose(s, s.items.at(id), {"worker " + e.worker + " started anew without it", {}}, out);
  }
}

void on(state& s, const worker_known& e, effects&) {
  s.workers[e.worker] = {e.base_digest, e.slots,    false,        e.last_seen_ms, e.tags,
                         e.version,     e.cordoned, e.cordon_why, e.place};
}

void on(state& s, const worker_cordoned& e, effects&) {
  const auto found = s.workers.find(e.worker);
  if (found == s.workers.end()) return;
  found->second.cordoned = e.cordoned;
  found->second.cordon_why = e.cordoned ? e.why : "";
}

void on(state& s, const worker_left& e, effects&) {
  const auto found = s.workers.find(e.worker);
  if (found != s.workers.end()) found->second.connected = false;
}

void on(state& s, const heartbeat& e, effects& out) {
  const auto worker = s.workers.find(e.worker);
  if (worker == s.workers.end()) return;
  worker->second.last_seen_ms = e.now_ms;
  worker->second.trouble = e.trouble;
  for (const auto& attempt : e.attempts) {
    // A worker in reach that still runs something renews it, even while it is being killed: a kill
    // is not proved by the clock as long as the worker says otherwise.
    item_entry* entry = s.items.by_attempt(attempt);
    const bool holds = entry != nullptr && entry->worker() == e.worker;
    if (holds) {
      entry->expires_ms = expiry(s, e.now_ms);
      entry->named_ms = e.now_ms;
    }
    if (!holds || entry->at() == phase::killing) out.push_back(send_kill{e.worker, attempt});
  }
}

void on(state& s, const grant_recorded& e, effects& out) {
  auto* found = s.items.find(e.item.str());
  if (found == nullptr) return;
  item_entry& entry = *found;
  s.items.name(entry, e.attempt);
  if (entry.kill_when_granted) {  // recorded, but never sent: nothing of it can run
    bury(s, entry, proof::nothing_ran, 0, out);
    return;
  }
  if (entry.at() != phase::granting) return;
  s.items.move_to(entry, phase::leased);
  entry.failed_grants = 0;
  entry.wait_for.clear();
  entry.expires_ms = expiry(s, e.now_ms);
  out.push_back(send_lease{entry.worker(), e.item, e.attempt});
}

void on(state& s, const grant_refused& e, effects& out) {
  auto* found = s.items.find(e.item.str());
  if (found == nullptr || found->at() == phase::leased) return;
  item_entry& entry = *found;
  if (!e.is_final && entry.at() == phase::granting) {
    queue_again(s, entry, s.now_ms + retry_after(entry.failed_grants++));
    entry.wait_for = e.why;
    return;
  }
  forget(s, entry, out);
}

void on(state& s, const leasing_held& e, effects&) {
  s.leases_wait_for = e.wait_for;
}

void on(state& s, const result_arrived& e, effects& out) {
  item_entry* entry = s.items.by_attempt(e.attempt);
  if (entry == nullptr || entry->worker() != e.worker || entry->offer.fence != e.fence) {
    out.push_back(
        reply_result{e.worker, e.attempt, false, "this attempt no longer holds the lease"});
    return;
  }
  if (entry->at() == phase::killing) {
    out.push_back(reply_result{e.worker, e.attempt, false, "the lineage was killed"});
    bury(s, *entry, proof::killed, e.cost, out);
    return;
  }
  if (entry->at() == phase::judging) return;  // sent twice; the first is being judged
  s.items.move_to(*entry, phase::judging);
  s.unserved_by.erase({entry->offer.served_as(), e.worker});
  entry->cost = e.cost;
  out.push_back(judge{entry->offer.item, entry->attempt()});
}

void on(state& s, const result_judged& e, effects& out) {
  auto* found = s.items.find(e.item.str());
  if (found == nullptr || found->at() != phase::judging) return;
  item_entry& entry = *found;
  out.push_back(reply_result{entry.worker(), entry.attempt().str(), e.accepted, e.why});
  if (!e.is_final) {
    lose(s, entry, {"its result could not be recorded: " + e.why, entry.cost}, out);
    return;
  }
  s.shares.learn_length(entry.offer.run, entry.offer.is_evaluation, entry.use, s.now_ms);
  if (e.accepted) expect_successor(s, entry.offer);
  forget(s, entry, out);
}

void on(state& s, const attempt_cleaned& e, effects& out) {
  item_entry* entry = s.items.by_attempt(e.attempt);
  if (entry == nullptr || entry->worker() != e.worker) return;
  if (entry->at() == phase::killing) {
    bury(s, *entry, proof::killed, e.how.cost, out);
  } else if (entry->at() == phase::leased) {
    const bool may_pass_on = !entry->offer.served_as().empty();
    if (e.how.lasting && may_pass_on) return pass_on(s, *entry, e.how, out);
    if (e.how.lasting && !entry->offer.has_choice) return hold(s, *entry, e.how, out);
    if (!e.how.trouble.empty()) return excuse(s, *entry, e.how, out);
    const bool waits = e.how.no_provider && has_patience(s, *entry);
    if (waits) return await_provider(s, *entry, e.how, out);
    lose(s, *entry, e.how, out, true);
  }
}

void on(state& s, const kill_requested& e, effects& out) {
  s.kills[e.scope].asked_ms.push_back(e.now_ms);
  std::vector<item_entry*> queued, judged;
  for (auto* entry : s.items.of_scope(e.scope)) {
    switch (entry->at()) {
      case phase::queued:
        queued.push_back(entry);
        break;
      case phase::granting:
        s.items.move_to(*entry, phase::killing);
        entry->kill_when_granted = true;
        break;
      case phase::judging:  // nothing of it is left, and its result is not wanted any more
        out.push_back(reply_result{entry->worker(), entry->attempt().str(), false, "killed"});
        judged.push_back(entry);
        break;
      case phase::leased:
        s.items.move_to(*entry, phase::killing);
        [[fallthrough]];
      case phase::killing:
        if (!entry->attempt().empty()) {
          out.push_back(send_kill{entry->worker(), entry->attempt().str()});
        }
        break;
    }
  }
  for (item_entry* entry : queued) forget(s, *entry, out);
  for (item_entry* entry : judged) bury(s, *entry, proof::killed, entry->cost, out);
  prove_if_gone(s, e.scope, out);
}

void on(state& s, const tick& e, effects& out) {
  std::vector<std::string> due;
  for (const auto& [worker, items] : s.items.held()) {
    for (const auto& id : items) {
      const auto& entry = s.items.at(id);
      const bool runs = entry.at() == phase::leased || entry.at() == phase::killing;
      if (runs && !entry.kill_when_granted && entry.expires_ms <= e.now_ms) due.push_back(id);
    }
  }
  for (const auto& id : due) {
    item_entry& entry = s.items.at(id);
    if (entry.at() == phase::killing) {
      bury(s, entry, proof::lease_expired, {}, out);
    } else {
      const std::string worker = entry.worker();
      lose(s, entry, {"worker " + worker + " was out of touch for longer than the lease", {}}, out);
    }
  }
  std::erase_if(s.unserved_by, [&](const auto& each) {
    return each.second.until_ms + 2 * longest_retry_ms <= e.now_ms;
  });
  tell_unproved(s, out);
}

}  // namespace

bool has_fit_worker(const state& current, const item_offer& offer) {
  return std::ranges::any_of(current.workers, [&](const auto& each) {
    return may_serve(current, each.first, each.second, offer);
  });
}

std::string why_unserved(const state& current, const item_offer& offer) {
  const auto served_as = offer.served_as();
  if (served_as.empty() || has_fit_worker(current, offer)) return {};
  for (const auto& [name, worker] : current.workers) {
    const bool is_here = worker.connected && !worker.cordoned && is_fit(worker, offer);
    if (!is_here || !could_not_serve(current, served_as, name)) continue;
    return "a worker that can serve it; " + name +
           " cannot: " + current.unserved_by.at({served_as, name}).why;
  }
  return {};
}

bool is_silent(const state& current, const worker_entry& worker) {
  return current.now_ms - worker.last_seen_ms > current.times.lease_ms / 2;
}

std::string why_not_taken(const state& current, const std::string& worker,
                          const std::string& place) {
  const auto found = current.workers.find(worker);
  if (found == current.workers.end()) return {};
  const auto& former = found->second;
  if (former.place == place || former.place.empty() || place.empty()) return {};
  const auto& times = current.times;
  const bool is_heard =
      former.connected && current.now_ms - former.last_seen_ms <= times.lease_ms + times.guard_ms;
  if (is_heard) {
    return "worker " + worker +
           " is joined from another machine, container or uid base; each worker"
           " needs credentials and a state folder of its own";
  }
  const auto busy = busy_slots(current, worker);
  if (busy == 0) return {};
  return "worker " + worker +
         " has leases from another machine, container or uid base: " + std::to_string(busy) +
         ", each for " + std::to_string((times.lease_ms + times.guard_ms) / 1'000) +
         " s since it was last renewed; it is taken when they are over";
}

int busy_slots(const state& current, const std::string& worker) {
  return static_cast<int>(current.items.held_by(worker).size());
}

std::vector<std::string> attempts_of(const state& current, const std::string& worker) {
  std::vector<std::string> attempts;
  for (const auto& id : current.items.held_by(worker)) {
    const auto& attempt = current.items.at(id).attempt();
    if (!attempt.empty()) attempts.push_back(attempt.str());
  }
  return attempts;
}

std::vector<effect> apply(state& current, const event& what) {
  effects out;
  std::visit(
      [&](const auto& e) {
        if constexpr (requires { e.now_ms; }) current.now_ms = std::max(current.now_ms, e.now_ms);
        on(current, e, out);
      },
      what);
  assign(current, out);
  return out;
}

}  // namespace germline::dispatch
