#include "prompts.hpp"
#include "steps/decision.hpp"
#include "steps/steps.hpp"

namespace agent {

step_outcome<bool> decide_if_goal_achieved(session& s) {
  if (s.remembered.goal().empty()) return {true};
  s.report.report("decide_if_goal_achieved", "started", s.remembered.goal());
  s.talk.say(ask_if_achieved(s.remembered.goal()));
  const auto said = run_tool_loop(s, 20);
  if (said.ending == loop_ending::unreachable) {
    s.report.report("decide_if_goal_achieved", "failed", said.why);
    return {false, true, {said.why, true}};
  }
  const bool achieved = find_object(said.text, "achieved")["achieved"].bool_or(false);
  s.report.report("decide_if_goal_achieved", "done", achieved ? "achieved" : "not achieved");
  return {achieved};
}

}  // namespace agent
