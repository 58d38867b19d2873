// What the steps of one iteration share: the task, the model, the talk so far, the tools, the clone
// and the memory. Made once, by iteration.cpp; it owns nothing but the talk and the verdicts.
#pragma once

#include <string>
#include <vector>

#include "conversation.hpp"
#include "events.hpp"
#include "llm.hpp"
#include "memory.hpp"
#include "prompts.hpp"
#include "repository.hpp"
#include "tool.hpp"

namespace agent {

struct session {
  const task& work;
  llm& model;
  const std::vector<tool>& tools;
  const events& report;
  const repository& clone;
  memory& remembered;
  std::string base;  // the commit that the iteration began from
  conversation talk = {};
  std::string instructions = system_prompt();  // the same for every request
  std::chrono::milliseconds reserve = {};      // kept back for validation and the push
};

}  // namespace agent
