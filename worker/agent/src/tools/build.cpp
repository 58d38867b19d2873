// Tool `build`: the genome's build command.
#include "process.hpp"
#include "tool.hpp"

namespace agent {

tool build_tool(tool_env& env) {
  return {
      "build",
      "Builds the workspace with the genome's own build command, for at most 10 minutes. Gives the "
      "compiler's output (of long output the head and the tail) and the exit code.",
      R"({"type": "object", "properties": {}})",
      [&env](const json&) -> tool_result {
        if (env.work.build_command.empty()) return {"The task names no build command.", true};
        const auto done = run_command(env.work.build_command, env.work.workspace,
                                      env.work.at_most(std::chrono::minutes(10)));
        const auto ending = done.timed_out ? "[stopped: its time was up]"
                                           : "[exit " + std::to_string(done.exit_code) + "]";
        return {done.output + "\n" + ending, !done.ok()};
      },
  };
}

}  // namespace agent
