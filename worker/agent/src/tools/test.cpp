// Tool `test`: the genome's test command.
#include "process.hpp"
#include "tool.hpp"

namespace agent {

tool test_tool(tool_env& env) {
  return {
      "test",
      "Runs the genome's own tests with its test command, on what was last built, for at most 10 "
      "minutes. Gives their output (of long output the head and the tail) and the exit code.",
      R"({"type": "object", "properties": {}})",
      [&env](const json&) -> tool_result {
        if (env.work.test_command.empty()) return {"The task names no test command.", true};
        const auto done = run_command(env.work.test_command, env.work.workspace,
                                      env.work.at_most(std::chrono::minutes(10)));
        const auto ending = done.timed_out ? "[stopped: its time was up]"
                                           : "[exit " + std::to_string(done.exit_code) + "]";
        return {done.output + "\n" + ending, !done.ok()};
      },
  };
}

}  // namespace agent
