#include "prompts.hpp"
#include "steps/steps.hpp"

namespace agent {

step_outcome<std::string> generate_plan(session& s, const std::string& goal) {
  s.report.report("generate_plan", "started");
  s.talk.say(ask_for_plan(goal));
  const auto said = run_tool_loop(s, 40);
  if (said.ending == loop_ending::unreachable) {
    s.report.report("generate_plan", "failed", said.why);
    return {{}, true, {said.why, true}};
  }
  s.report.report("generate_plan", "done", said.text);
  return {said.text};
}

}  // namespace agent
