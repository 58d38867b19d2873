// Tool `bash`: the model's view of the persistent shell.
#include <algorithm>

#include "tool.hpp"

namespace agent {
namespace {

constexpr long long default_limit_s = 120;
constexpr long long max_limit_s = 900;

tool_result run_in(tool_env& env, const json& input) {
  auto& bash = env.bash;
  if (input["restart"].bool_or()) {
    bash.restart();
    if (!input.has("command")) return {"A new shell was started.", false};
  }
  if (!input.has("command")) return {"Give a command, or restart: true.", true};
  const auto asked_s = std::clamp(input["timeout_s"].integer_or(default_limit_s), 1LL, max_limit_s);
  const auto limit = env.work.at_most(std::chrono::seconds(asked_s));
  const auto outcome = bash.run(input["command"].string_or(), limit);
  std::string text = outcome.output;
  if (!text.empty() && text.back() != '\n') text += '\n';
  if (outcome.timed_out) {
    text += "[stopped: the limit of " + std::to_string(limit.count() / 1000) + " s was reached; ";
    text += outcome.shell_ended ? "the shell had to be ended too]" : "the shell is usable]";
  } else if (!outcome.shell_ended) {
    text += "[exit " + std::to_string(outcome.exit_code) + "]";
  }
  if (outcome.shell_ended) {
    text += "[the shell ended; the next command gets a new one, in the workspace]";
  }
  return {text, outcome.timed_out || outcome.shell_ended};
}

}  // namespace

tool bash_tool(tool_env& env) {
  return {
      "bash",
      "Runs a command in one persistent bash: the directory, variables and background jobs survive "
      "from call to call. It starts in the workspace. stdin is empty. stdout and stderr come back "
      "together, then the exit code; of long output the head and the tail, with the number of "
      "bytes "
      "cut. At timeout_s (default 120, at most 900) what runs in the foreground is stopped and the "
      "shell is usable again. Send a background job's output to a file. restart: true ends the "
      "shell and all that it started, and begins a new one.",
      R"({"type": "object", "properties": {
        "command": {"type": "string", "description": "what to run"},
        "timeout_s": {"type": "integer", "description": "time limit in seconds"},
        "restart": {"type": "boolean", "description": "begin a new shell first"}}})",
      [&env](const json& input) { return run_in(env, input); },
  };
}

}  // namespace agent
