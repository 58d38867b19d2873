#include "iteration.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "prompts.hpp"
#include "steps/steps.hpp"

namespace agent {
namespace {

constexpr int validation_rounds = 3;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// A person's goal goes first; then the one in the memory, if it is not achieved; then a new one.
step_outcome<std::string> choose_goal(session& s) {
  const auto achieved = decide_if_goal_achieved(s);
  if (achieved.failed) return {{}, true, achieved.failure};
  if (!achieved.value) return {s.remembered.goal()};
  return generate_goal(s);
}

struct work_outcome {
  std::string goal;
  std::string details;
  bool good = false;
  bool unreachable = false;
};

work_outcome failed_with(const std::string& goal, const step_failure& failure) {
  return {goal.empty() ? "choose a goal" : goal, failure.why, false, failure.fatal};
}

// Everything up to the commit.
work_outcome do_work(session& s) {
  s.talk.say(briefing(s.work, s.remembered));
  const auto goal = choose_goal(s);
  if (goal.failed) return failed_with(s.remembered.goal(), goal.failure);
  s.remembered.set_goal(goal.value);
  const auto plan = generate_plan(s, goal.value);
  if (plan.failed) return failed_with(goal.value, plan.failure);
  auto account = modify_code(s, goal.value);
  std::string earlier;  // why the validation before failed
  for (int round = 1;; ++round) {
    if (account.failed) {
      account.failure.why = earlier + account.failure.why;
      return failed_with(goal.value, account.failure);
    }
    const auto verdict = run_final_validation(s);
    if (verdict.good) return {goal.value, account.value, true};
    const bool last = round == validation_rounds || s.work.left() <= s.reserve;
    if (!verdict.changed || last) {
      return {goal.value, verdict.failures + "\nThe model said: " + account.value};
    }
    earlier = verdict.failures.substr(0, verdict.failures.find('\n')) + "\nThe repair: ";
    s.talk.say(ask_to_repair(verdict.failures));
    account = modify_code(s, goal.value);
  }
}

}  // namespace

iteration_ending run_iteration(const task& work) {
  const repository clone(work.workspace);
  const auto base = clone.head();
  auto remembered = memory::load(work.workspace + "/" + work.context_path);
  if (!base || !remembered) {
    std::fprintf(stderr, "agent: %s\n", base ? remembered.why().c_str() : base.why().c_str());
    return iteration_ending::broken;
  }
  if (!work.goal.empty()) remembered->set_goal(work.goal);
  const auto url = environment("ANTHROPIC_BASE_URL");
  const auto key = environment("ANTHROPIC_API_KEY");
  const events report(url, key);
  llm model(work, url, key);
  shell bash(work.workspace);
  tool_env env{work, bash};
  const auto tools = all_tools(env);
  session s{work, model, tools, report, clone, *remembered, *base};
  s.reserve = std::min(work.left() / 4, std::chrono::milliseconds(180'000));

  const auto done = do_work(s);
  bash.restart();  // nothing that the model started may touch the workspace during the commit
  const auto pushed = commit_results(s, done.good, done.goal, done.details);
  if (done.unreachable) {
    std::fprintf(stderr, "agent: the model could not be asked. %s\n", done.details.c_str());
    return iteration_ending::unreachable;
  }
  if (!pushed) std::fprintf(stderr, "agent: %s\n", pushed.why().c_str());
  return pushed ? iteration_ending::judged : iteration_ending::broken;
}

}  // namespace agent
