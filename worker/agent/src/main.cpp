// The agent's command line: one iteration; or, for tests and for reading, its tools one at a time.
#include <cstdio>
#include <cstring>
#include <iostream>

#include "iteration.hpp"
#include "task_mode.hpp"
#include "tool.hpp"

namespace agent {
namespace {

// Each line of stdin is the input of one call; each line of stdout its result. One environment for
// all of them, so a shell's state can be seen to survive.
int run_tool(const std::string& name) {
  const auto given = read_task();
  task work;
  if (given) work = *given;
  if (!given) work.workspace = ".";
  shell bash(work.workspace);
  tool_env env{work, bash};
  const auto tools = all_tools(env);
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto input = json::parse(line);
    const auto done = call_tool(tools, name, input ? *input : json());
    std::cout << json::of({{"is_error", done.is_error}, {"text", done.text}}).text() << std::endl;
  }
  return 0;
}

int iterate() {
  const auto work = read_task();
  if (!work) {
    std::fprintf(stderr, "agent: %s\n", work.why().c_str());
    return 2;
  }
  return static_cast<int>(run_iteration(*work));
}

int list_tools() {
  task work;
  shell bash(".");
  tool_env env{work, bash};
  std::cout << describe_tools(all_tools(env)).text(2) << "\n";
  return 0;
}

}  // namespace
}  // namespace agent

int main(int count, char** arguments) {
  if (count == 1) return agent::iterate();
  if (count == 3 && std::strcmp(arguments[1], "tool") == 0) return agent::run_tool(arguments[2]);
  if (count == 2 && std::strcmp(arguments[1], "tools") == 0) return agent::list_tools();
  if (count == 2 && std::strcmp(arguments[1], "task") == 0) {
    agent::serve_tasks(std::cin, std::cout, std::filesystem::current_path());
    return 0;
  }
  std::fprintf(stderr,
               "usage: agent              one iteration, by contract 1\n"
               "       agent task         does what an evaluator asks for on stdin\n"
               "       agent tools        the tools, as the model is told of them\n"
               "       agent tool NAME    calls a tool with each line of stdin as input\n");
  return 2;
}
