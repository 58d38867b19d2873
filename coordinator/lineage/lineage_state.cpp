#include "coordinator/lineage/lineage_state.hpp"

namespace germline::lineage {
namespace {

std::string being_killed(const state& s) {
  return "the run's policy kills the lineage: " + s.due_why;
}

transition refuse(const state& s, std::string why) {
  return {s, {}, std::move(why)};
}

bool is_final(const state& s) {
  return s.at == status::killed || s.at == status::retired;
}

std::string live_words(const state& s, const std::string& or_else) {
  return "an iteration is live (" + s.live.str() +
         "): pause the lineage and wait for the iteration to end" + or_else;
}

bool done(const state& s) {
  return s.max_iterations > 0 && s.iterations_done >= s.max_iterations;
}

void pause(state& s, pause_reason why, std::string details) {
  s.at = status::paused;
  s.why_paused = why;
  s.details = std::move(details);
}

void nothing_due(state& s) {
  s.due = policy_action::none;
  s.due_why.clear();
}

void retire(state& s) {
  nothing_due(s);
  s.at = status::retired;
  s.why_paused = pause_reason::none;
  s.draining = false;
}

/// "1 iteration is", "3 iterations are"
std::string counted(std::int64_t iterations) {
  return std::to_string(iterations) + (iterations == 1 ? " iteration is" : " iterations are");
}

/// What comes next where nothing is live.
effect next_step(const state& s) {
  if (must_roll_back(s) || s.due == policy_action::roll_back) return roll_back{};
  return begin_iteration{};
}

bool is_kill(policy_action what) {
  return what == policy_action::kill || what == policy_action::kill_clade;
}

/// Begins the next iteration, from an ancestor where the head is no good, or says why none begins.
void go_on(transition& t) {
  state& s = t.next;
  if (is_kill(s.due)) {
    t.effects.emplace_back(kill_by_policy{s.due == policy_action::kill_clade});
    return;
  }
  if (s.draining && s.live.empty()) return retire(s);
  if (s.at != status::active || s.head_generation.empty() || !s.live.empty()) return;
  if (done(s) && s.due != policy_action::roll_back) {
    pause(s, pause_reason::done, counted(s.iterations_done) + " done");
    return;
  }
  t.effects.push_back(next_step(s));
}

transition on(const state& s, const founded& e) {
  if (!s.head_generation.empty()) return refuse(s, "the lineage is founded already");
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  transition t{s, {}, {}};
  t.next.head_generation = e.generation;
  t.next.head_commit = e.commit;
  t.effects.emplace_back(project_branch{});
  go_on(t);
  return t;
}

transition on(const state& s, const seed_refused& e) {
  if (!s.head_generation.empty()) return refuse(s, "the lineage is founded already");
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  transition t{s, {}, {}};
  t.next.at = status::retired;
  t.next.details = e.details;
  return t;
}

transition on(const state& s, const iteration_begun& e) {
  if (!s.live.empty()) return refuse(s, "an iteration is live already");
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  transition t{s, {}, {}};
  t.next.live = e.item;
  if (e.is_chosen) t.next.unproven = false;
  if (e.parent) {
    t.next.head_generation = e.parent->generation;
    t.next.head_commit = e.parent->commit;
    t.next.depth = e.parent->depth;
    t.next.own_failures = 0;
    t.effects.emplace_back(project_branch{});
  }
  if (s.at == status::active) t.effects.emplace_back(offer_item{});
  return t;
}

/// What the run's policy does about a lineage whose iteration ended just now.
void obey(state& next, const iteration_ended& e) {
  if (e.act <= policy_action::warn) return;
  if (e.act == policy_action::pause) {
    if (next.at == status::active) pause(next, pause_reason::policy, e.act_why);
    return;
  }
  next.due = e.act;
  next.due_why = e.act_why;
  if (is_kill(e.act)) pause(next, pause_reason::policy, e.act_why);
}

transition on(const state& s, const iteration_ended& e) {
  if (s.live.empty()) return refuse(s, "no iteration is live");
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  if (e.how == ending::evolved && (e.generation.empty() || e.commit.empty())) {
    return refuse(s, "a birth needs a generation and a commit");
  }
  transition t{s, {}, {}};
  state& next = t.next;
  next.live = {};
  ++next.iterations_done;
  next.failures_in_row = e.how == ending::failed ? s.failures_in_row + 1 : 0;
  if (e.how != ending::failed) {
    next.unproven = false;
    next.own_failures = 0;
  } else if (is_agents_own(e.reason)) {
    ++next.own_failures;
  }
  if (e.how == ending::evolved) {
    next.head_generation = e.generation;
    next.unproven = true;
    ++next.depth;
    ++next.last_number;
  }
  if (!e.commit.empty()) {
    next.head_commit = e.commit;
    t.effects.emplace_back(project_branch{});
  }
  if (e.is_again) {
    next.failures_in_row = next.own_failures = 0;
    next.unproven = false;
  }
  const bool goes_back = must_roll_back(next) || e.act == policy_action::roll_back;
  const bool too_many = next.failures_in_row >= failures_before_pause && !goes_back;
  if (next.at == status::active && too_many) {
    const bool by_budget = e.reason == "budget";
    pause(next, by_budget ? pause_reason::budget : pause_reason::policy,
          std::to_string(next.failures_in_row) + " iterations failed in a row" +
              (by_budget ? ", the last one since a budget, or a limit of its genome's, did not "
                           "cover what it asked of its model: `germline show` of it says which. "
                           "`germline budget` raises a budget; limits are of a run, by [limits] in "
                           "its genome.toml, and others need another run"
                         : ""));
  }
  obey(next, e);
  go_on(t);
  return t;
}

transition on(const state& s, const pause_requested& e) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  // The first reason stands: a budget pause does not hide that a person paused.
  if (s.at == status::paused) return {s, {}, {}};
  transition t{s, {}, {}};
  pause(t.next, e.why, e.details);
  if (e.why == pause_reason::policy) nothing_due(t.next);  // a rollback that cannot be
  if (!s.live.empty()) t.effects.emplace_back(withdraw_item{});
  return t;
}

transition on(const state& s, const resume_requested& e) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  if (s.at == status::active) return {s, {}, {}};
  if (is_kill(s.due)) return refuse(s, being_killed(s));
  if (s.live.empty() && done(s)) {
    return refuse(s,
                  (s.max_iterations == 1 ? "its " : "all ") + counted(s.max_iterations) + " done");
  }
  transition t{s, {}, {}};
  t.next.at = status::active;
  t.next.why_paused = pause_reason::none;
  t.next.details = e.why;
  t.next.failures_in_row = 0;
  if (!s.head_generation.empty()) t.effects.emplace_back(project_branch{});
  if (!s.live.empty()) t.effects.emplace_back(offer_item{});
  go_on(t);
  return t;
}

transition on(const state& s, const kill_requested& e) {
  if (s.at == status::retired) return refuse(s, "the lineage is retired");
  transition t{s, {}, {}};
  if (s.at != status::killed) {
    t.next.at = status::killed;
    t.next.why_paused = pause_reason::none;
    t.next.details = e.why;
    t.next.live = {};
    t.next.draining = false;
    if (s.due != policy_action::kill_clade) nothing_due(t.next);
  }
  t.effects.emplace_back(prove_killed{});
  return t;
}

transition on(const state& s, const waiting_dropped&) {
  if (!may_wait_withdrawn(s)) return refuse(s, "no iteration of a paused lineage waits");
  transition t{s, {}, {}};
  t.next.live = {};
  return t;
}

transition on(const state& s, const given_back&) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  if (s.live.empty()) return refuse(s, "no iteration is live");
  transition t{s, {}, {}};
  t.next.live = {};
  go_on(t);
  return t;
}

transition on(const state& s, const rolled_back& e) {
  if (auto why = why_no_rollback(s); !why.empty()) return refuse(s, std::move(why));
  if (e.to.empty() || e.commit.empty()) {
    return refuse(s, "a rollback needs a generation and a commit");
  }
  transition t{s, {}, {}};
  state& next = t.next;
  next.head_generation = e.to;
  next.head_commit = e.commit;
  next.depth = e.depth;
  next.unproven = false;  // it bore what was rolled back
  nothing_due(next);
  next.failures_in_row = 0;
  next.own_failures = 0;
  if (next.at == status::active) next.details = e.details;  // else: why it is paused
  t.effects.emplace_back(project_branch{});
  go_on(t);
  return t;
}

transition on(const state& s, const retire_requested& e) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)) + " already");
  if (is_kill(s.due)) return refuse(s, being_killed(s));
  if (s.head_generation.empty()) {
    return refuse(s, "the seed is being founded: wait until it is, or kill the lineage");
  }
  if (!s.live.empty()) return refuse(s, live_words(s, ", or kill the lineage"));
  transition t{s, {}, {}};
  retire(t.next);
  t.next.details = e.why;
  return t;
}

transition on(const state& s, const drain_requested& e) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)) + " already");
  if (is_kill(s.due)) return refuse(s, being_killed(s));
  if (s.live.empty()) return refuse(s, "no iteration is live");
  transition t{s, {}, {}};
  t.next.draining = true;
  if (s.at == status::active) t.next.details = e.why;  // else: why it is paused
  return t;
}

transition on(const state& s, const clade_killed&) {
  transition t{s, {}, {}};
  nothing_due(t.next);
  return t;
}

transition on(const state& s, const drained& e) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)) + " already");
  if (is_kill(s.due)) return refuse(s, being_killed(s));
  if (s.head_generation.empty()) return refuse(s, "the seed is being founded: wait until it is");
  transition t{s, {}, {}};
  t.next.live = {};
  retire(t.next);
  t.next.details = e.why;
  return t;
}

}  // namespace

bool is_agents_own(const std::string& reason) {
  return reason == "crash" || reason == "time" || reason == "memory" || reason == "dialect";
}

bool must_roll_back(const state& s) {
  return s.unproven && s.depth > 0 && s.own_failures >= failures_before_rollback;
}

std::string why_no_rollback(const state& s) {
  if (is_final(s)) {
    return "the lineage is " + std::string(to_string(s.at)) +
           ", which is final: fork the generation to go on from it";
  }
  if (is_kill(s.due)) return being_killed(s);
  if (s.head_generation.empty()) return "the seed is being founded: there is nothing to go back to";
  return s.live.empty() ? std::string() : live_words(s, "");
}

bool may_wait_withdrawn(const state& s) {
  return s.at == status::paused && !s.live.empty();
}

transition apply(const state& current, const event& what) {
  return std::visit([&](const auto& e) { return on(current, e); }, what);
}

std::vector<effect> after_load(const state& loaded) {
  const bool clade_due = loaded.at == status::killed && loaded.due == policy_action::kill_clade;
  if (clade_due) return {kill_by_policy{true}};
  if (is_final(loaded) || loaded.head_generation.empty()) return {};
  std::vector<effect> effects{project_branch{}};
  if (is_kill(loaded.due)) {
    effects.emplace_back(kill_by_policy{loaded.due == policy_action::kill_clade});
  }
  if (loaded.at != status::active) return effects;
  effects.push_back(loaded.live.empty() ? next_step(loaded) : effect(offer_item{}));
  return effects;
}

const char* to_string(status value) {
  switch (value) {
    case status::active:
      return "active";
    case status::paused:
      return "paused";
    case status::killed:
      return "killed";
    case status::retired:
      return "retired";
  }
  return "unknown";
}

const char* to_string(pause_reason value) {
  switch (value) {
    case pause_reason::none:
      return "";
    case pause_reason::person:
      return "person";
    case pause_reason::policy:
      return "policy";
    case pause_reason::diverged:
      return "diverged";
    case pause_reason::budget:
      return "budget";
    case pause_reason::approval:
      return "approval";
    case pause_reason::done:
      return "done";
    case pause_reason::gateway:
      return "gateway";
    case pause_reason::worker:
      return "worker";
  }
  return "unknown";
}

const char* to_string(ending value) {
  switch (value) {
    case ending::none:
      return "";
    case ending::evolved:
      return "evolved";
    case ending::stalled:
      return "stalled";
    case ending::rejected:
      return "rejected";
    case ending::failed:
      return "failed";
    case ending::killed:
      return "killed";
    case ending::scored:
      return "scored";
  }
  return "unknown";
}

const char* to_string(policy_action value) {
  switch (value) {
    case policy_action::none:
      return "";
    case policy_action::warn:
      return "warn";
    case policy_action::pause:
      return "pause";
    case policy_action::roll_back:
      return "rollback";
    case policy_action::kill:
      return "kill";
    case policy_action::kill_clade:
      return "kill-clade";
  }
  return "unknown";
}

}  // namespace germline::lineage
