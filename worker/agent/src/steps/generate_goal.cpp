#include "prompts.hpp"
#include "steps/decision.hpp"
#include "steps/steps.hpp"

namespace agent {

step_outcome<std::string> generate_goal(session& s) {
  s.report.report("generate_goal", "started");
  s.talk.say(ask_for_goal());
  const auto said = run_tool_loop(s, 20);
  if (said.ending == loop_ending::unreachable) {
    s.report.report("generate_goal", "failed", said.why);
    return {{}, true, {said.why, true}};
  }
  auto goal = find_object(said.text, "goal")["goal"].string_or();
  if (goal.empty() && !s.work.goal_hints.empty()) goal = s.work.goal_hints.front();
  if (goal.empty())
    goal = "Make one part of the agent's source clearer, with a test that shows it.";
  s.report.report("generate_goal", "done", goal);
  return {goal};
}

}  // namespace agent
