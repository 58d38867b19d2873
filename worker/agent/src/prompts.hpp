// What the model is told. All wording that steers it is in prompts.cpp.
#pragma once

#include <string>

#include "memory.hpp"
#include "task.hpp"

namespace agent {

/// The same for every request, so that it can be cached.
std::string system_prompt();
/// The first message: where the iteration stands.
std::string briefing(const task& work, const memory& remembered);
std::string ask_if_achieved(const std::string& goal);
std::string ask_for_goal();
std::string ask_for_plan(const std::string& goal);
std::string ask_to_modify(const std::string& goal);
std::string ask_to_repair(const std::string& failures);

/// In task mode, in place of the first two.
std::string task_instructions();
std::string ask_to_solve(const std::string& title, const std::string& text, const std::string& run);
std::string ask_to_mend_tests(const std::string& output);

}  // namespace agent
