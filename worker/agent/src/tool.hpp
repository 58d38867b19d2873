// A tool: what the model is told of it, and what happens when it is called. A tool is a value made
// by one function in a file of its own under tools/, which tools/list.inc names.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "json.hpp"
#include "shell.hpp"
#include "task.hpp"

namespace agent {

struct tool_result {
  std::string text;
  bool is_error = false;
};

struct tool {
  std::string name;
  std::string description;   // promises only what `run` does
  std::string input_schema;  // JSON text; call_tool holds calls to `required` and `type`
  std::function<tool_result(const json& input)> run;
};

/// What tools share. It outlives them.
struct tool_env {
  const task& work;
  shell& bash;
};

/// Every tool of tools/list.inc, in its order.
std::vector<tool> all_tools(tool_env& env);

/// Runs the tool called `name`. An unknown name, an input that the schema does not allow and an
/// exception are error results which say what would be right.
tool_result call_tool(const std::vector<tool>& tools, const std::string& name, const json& input);

/// The `tools` member of a Messages API request.
json describe_tools(const std::vector<tool>& tools);

}  // namespace agent
