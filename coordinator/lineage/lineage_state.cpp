#include "coordinator/lineage/lineage_state.hpp"

namespace germline::lineage {
namespace {

transition refuse(const state& s, std::string why) {
  return {s, {}, std::move(why)};
}

bool is_final(const state& s) {
  return s.at == status::killed || s.at == status::retired;
}

bool done(const state& s) {
  return s.max_iterations > 0 && s.iterations_done >= s.max_iterations;
}

void pause(state& s, pause_reason why, std::string details) {
  s.at = status::paused;
  s.why_paused = why;
  s.details = std::move(details);
}

/// Begins the next iteration, or says why none begins.
void go_on(transition& t) {
  state& s = t.next;
  if (s.at != status::active || s.head_generation.empty() || !s.live.empty()) return;
  if (done(s)) {
    pause(s, pause_reason::done, std::to_string(s.iterations_done) + " iterations are done");
    return;
  }
  t.effects.emplace_back(begin_iteration{});
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
  if (s.at == status::active) t.effects.emplace_back(offer_item{});
  return t;
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
  if (e.how == ending::evolved) {
    next.head_generation = e.generation;
    ++next.depth;
    ++next.last_number;
  }
  if (!e.commit.empty()) {
    next.head_commit = e.commit;
    t.effects.emplace_back(project_branch{});
  }
  if (next.at == status::active && next.failures_in_row >= failures_before_pause) {
    pause(next, pause_reason::policy,
          std::to_string(next.failures_in_row) + " iterations failed in a row");
  }
  go_on(t);
  return t;
}

transition on(const state& s, const pause_requested& e) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  // The first reason stands: a budget pause does not hide that a person paused.
  if (s.at == status::paused) return {s, {}, {}};
  transition t{s, {}, {}};
  pause(t.next, e.why, e.details);
  if (!s.live.empty()) t.effects.emplace_back(withdraw_item{});
  return t;
}

transition on(const state& s, const resume_requested& e) {
  if (is_final(s)) return refuse(s, "the lineage is " + std::string(to_string(s.at)));
  if (s.at == status::active) return {s, {}, {}};
  if (s.live.empty() && done(s)) {
    return refuse(s, "all " + std::to_string(s.max_iterations) + " iterations are done");
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
  }
  t.effects.emplace_back(prove_killed{});
  return t;
}

}  // namespace

transition apply(const state& current, const event& what) {
  return std::visit([&](const auto& e) { return on(current, e); }, what);
}

std::vector<effect> after_load(const state& loaded) {
  if (is_final(loaded) || loaded.head_generation.empty()) return {};
  std::vector<effect> effects{project_branch{}};
  if (loaded.at != status::active) return effects;
  if (!loaded.live.empty()) {
    effects.emplace_back(offer_item{});
  } else {
    effects.emplace_back(begin_iteration{});
  }
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
  }
  return "unknown";
}

}  // namespace germline::lineage
