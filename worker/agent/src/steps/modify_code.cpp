#include "prompts.hpp"
#include "steps/steps.hpp"

namespace agent {

step_outcome<std::string> modify_code(session& s, const std::string& goal) {
  s.report.report("modify_code", "started");
  s.talk.say(ask_to_modify(goal));
  const auto said = run_tool_loop(s, 200);
  switch (said.ending) {
    case loop_ending::done:
    case loop_ending::used_up:  // what is there may still be good: validation says
      s.report.report("modify_code", "done", said.text);
      return {said.text};
    case loop_ending::refused:
    case loop_ending::stuck:
    case loop_ending::unreachable:
      break;
  }
  s.report.report("modify_code", "failed", said.why);
  return {said.text, true, {said.why, said.ending == loop_ending::unreachable}};
}

}  // namespace agent
