#include "worker/node/node_state.hpp"

#include <algorithm>

namespace germline::worker {
namespace {

/// More unanswered heartbeats than this say that the stream is dead; older ones are forgotten.
constexpr std::size_t max_unanswered_heartbeats = 64;

}  // namespace

node_state::node_state(identity self) : self_(std::move(self)) {}

std::vector<std::string> node_state::attempts() const {
  std::vector<std::string> names;
  names.reserve(attempts_.size());
  for (const auto& [id, unused] : attempts_) names.push_back(id);
  return names;
}

int node_state::free_slots() const {
  // An attempt whose result waits for an answer holds no sandbox any more.
  const auto busy = std::ranges::count_if(
      attempts_, [](const auto& entry) { return !entry.second.result.has_value(); });
  return std::max(0, self_.slots - static_cast<int>(busy));
}

node_effects node_state::on_connected(std::int64_t now_boot_ms, const std::string& trouble) {
  connected_ = true;
  heartbeats_.clear();
  last_answered_boot_ms_ = now_boot_ms;
  node_effects effects;
  send_message hello;
  auto* body = hello.message.mutable_hello();
  body->set_worker_id(self_.worker_id);
  body->set_base_digest(self_.base_digest);
  body->set_version(self_.version);
  body->set_slots(self_.slots);
  body->set_place(self_.place);
  body->set_trouble(trouble);
  for (const auto& tag : self_.tags) body->add_tags(tag);
  for (const auto& [id, unused] : attempts_) body->add_running_attempts(id);
  effects.emplace_back(std::move(hello));
  for (const auto& [id, entry] : attempts_) {
    if (!entry.result) continue;
    send_message repeat;
    *repeat.message.mutable_result() = *entry.result;
    effects.emplace_back(std::move(repeat));
  }
  return effects;
}

void node_state::on_disconnected() {
  connected_ = false;
}

node_effects node_state::on_message(const v1::CoordinatorMessage& message) {
  switch (message.kind_case()) {
    case v1::CoordinatorMessage::kLease:
      return on_lease(message.lease());
    case v1::CoordinatorMessage::kKill:
      return on_kill(message.kill());
    case v1::CoordinatorMessage::kHeartbeatReply:
      return on_heartbeat_reply(message.heartbeat_reply());
    case v1::CoordinatorMessage::kWelcome: {
      const auto& welcome = message.welcome();
      if (welcome.heartbeat_ms() > 0) heartbeat_ms_ = welcome.heartbeat_ms();
      if (welcome.lease_ms() > 0) lease_ms_ = welcome.lease_ms();
      node_effects effects;
      for (const auto& id : welcome.forget_attempts()) {
        for (auto& effect : cancel(id, "the coordinator gave the work to another attempt")) {
          effects.push_back(std::move(effect));
        }
      }
      return effects;
    }
    case v1::CoordinatorMessage::kResultReply:
      attempts_.erase(message.result_reply().attempt_id());
      return {};
    case v1::CoordinatorMessage::kAccountsReply:  // whoever reads the journals has it too
    case v1::CoordinatorMessage::KIND_NOT_SET:
      return {};
  }
  return {};
}

node_effects node_state::on_lease(const v1::Lease& lease) {
  if (stopping_ || attempts_.contains(lease.attempt_id()) || free_slots() == 0) return {};
  if (lease.lease_ms() > 0) lease_ms_ = lease.lease_ms();
  attempt entry;
  entry.fence = lease.fence();
  // The coordinator counts from granting; what it last answered was sent before that, so counting
  // from there can only end earlier than its own clock.
  entry.lease_until_boot_ms = last_answered_boot_ms_ + lease_ms_;
  node_effects effects;
  effects.emplace_back(start_attempt{lease, entry.lease_until_boot_ms});
  attempts_.emplace(lease.attempt_id(), std::move(entry));
  return effects;
}

node_effects node_state::on_kill(const v1::KillAttempt& kill) {
  if (const auto found = attempts_.find(kill.attempt_id());
      found != attempts_.end() && !found->second.result) {
    return cancel(kill.attempt_id(), kill.why());
  }
  // Nothing of it runs here: that is the proof that the coordinator waits for.
  attempts_.erase(kill.attempt_id());
  send_message cleaned;
  cleaned.message.mutable_cleaned()->set_attempt_id(kill.attempt_id());
  return {std::move(cleaned)};
}

node_effects node_state::on_heartbeat_reply(const v1::HeartbeatReply& reply) {
  const auto named = heartbeats_.find(reply.sent_boot_ms());
  if (named == heartbeats_.end()) return {};
  last_answered_boot_ms_ = std::max(last_answered_boot_ms_, reply.sent_boot_ms());
  node_effects effects;
  for (const auto& id : named->second) {
    const auto found = attempts_.find(id);
    if (found == attempts_.end() || found->second.cancelled || found->second.result) continue;
    auto& until = found->second.lease_until_boot_ms;
    until = std::max(until, reply.sent_boot_ms() + lease_ms_);
    effects.emplace_back(renew_attempt{id, until});
  }
  heartbeats_.erase(heartbeats_.begin(), std::next(named));
  return effects;
}

node_effects node_state::on_tick(std::int64_t now_boot_ms, const std::string& trouble) {
  node_effects effects;
  std::vector<std::string> expired;
  for (const auto& [id, entry] : attempts_) {
    if (!entry.cancelled && !entry.result && entry.lease_until_boot_ms <= now_boot_ms) {
      expired.push_back(id);
    }
  }
  for (const auto& id : expired) {
    for (auto& effect : cancel(id, "the lease ran out")) effects.push_back(std::move(effect));
  }
  if (!connected_) return effects;
  send_message heartbeat;
  auto* body = heartbeat.message.mutable_heartbeat();
  body->set_sent_boot_ms(now_boot_ms);
  body->set_free_slots(free_slots());
  body->set_trouble(trouble);
  std::vector<std::string> named;
  for (const auto& [id, entry] : attempts_) {
    // One that is being cancelled is still here, and no kill of it is proved meanwhile.
    body->add_attempts(id);
    if (!entry.cancelled) named.push_back(id);
  }
  heartbeats_[now_boot_ms] = std::move(named);
  while (heartbeats_.size() > max_unanswered_heartbeats) heartbeats_.erase(heartbeats_.begin());
  effects.emplace_back(std::move(heartbeat));
  return effects;
}

node_effects node_state::on_finished(const v1::AttemptResult& result) {
  const auto found = attempts_.find(result.attempt_id());
  if (found == attempts_.end()) return {};
  if (found->second.cancelled) {  // it came too late to be wanted
    v1::AttemptCleaned gone;
    gone.set_attempt_id(result.attempt_id());
    *gone.mutable_usage() = result.usage();
    return on_cleaned(gone);
  }
  found->second.result = result;
  if (!connected_) return {};
  send_message report;
  *report.message.mutable_result() = result;
  return {std::move(report)};
}

node_effects node_state::on_cleaned(const v1::AttemptCleaned& gone) {
  attempts_.erase(gone.attempt_id());
  if (!connected_) return {};  // the next hello says so, by not naming it
  send_message cleaned;
  *cleaned.message.mutable_cleaned() = gone;
  return {std::move(cleaned)};
}

node_effects node_state::on_stop() {
  stopping_ = true;
  node_effects effects;
  if (connected_) {
    send_message leaving;
    leaving.message.mutable_leaving();
    effects.emplace_back(std::move(leaving));
  }
  for (const auto& id : attempts()) {
    for (auto& effect : cancel(id, "the worker is stopping")) effects.push_back(std::move(effect));
  }
  return effects;
}

node_effects node_state::on_progress(const v1::AttemptProgress& progress) {
  if (!connected_ || !attempts_.contains(progress.event().attempt_id())) return {};
  send_message forward;
  *forward.message.mutable_progress() = progress;
  return {std::move(forward)};
}

node_effects node_state::on_accounts(const v1::LateAccounts& told) {
  if (!connected_ || told.accounts().empty()) return {};
  send_message forward;
  *forward.message.mutable_accounts() = told;
  return {std::move(forward)};
}

node_effects node_state::cancel(const std::string& attempt_id, const std::string& why) {
  const auto found = attempts_.find(attempt_id);
  if (found == attempts_.end()) return {};
  if (found->second.result) {  // it ended already, and its result is not wanted
    attempts_.erase(found);
    return {};
  }
  if (found->second.cancelled) return {};
  found->second.cancelled = true;
  return {cancel_attempt{attempt_id, why}};
}

}  // namespace germline::worker
