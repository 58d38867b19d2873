#include "task_mode.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <istream>
#include <memory>
#include <ostream>

#include "bounded_output.hpp"
#include "files.hpp"
#include "process.hpp"
#include "tool_loop.hpp"

namespace agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int turns_per_task = 100;
constexpr int rounds_of_mending = 2;
// Of the evaluator's time; kept back for what cannot be ended at once, and for the answer.
constexpr milliseconds kept_back{3'000};
// A program that prints more than a message holds is ended by SIGXFSZ: 1 MiB.
constexpr const char* bounded_program =
    "ulimit -f 1024; exec \"$@\" < ../stdin > ../stdout 2> /dev/null";
constexpr const char* first_commit =
    "git init -q && git add -A && "
    "git -c user.name=task -c user.email=task@invalid commit -qm given";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string joined(const json& words) {
  std::string out;
  for (const auto& word : words.items()) out += (out.empty() ? "" : " ") + word.string_or();
  return out;
}

// Why the files are not all of a repository; empty where they are.
std::string misplaced(const json& files) {
  for (const auto& file : files.items()) {
    const fs::path path = file["path"].string_or();
    const bool climbs = std::find(path.begin(), path.end(), fs::path("..")) != path.end();
    if (path.has_filename() && path.is_relative() && !climbs) continue;
    return "'" + path.string() + "' is no path of a file within the repository";
  }
  return "";
}

// One task: its repository, and how its program is run.
class assignment {
 public:
  // Lays the repository out in a new folder.
  assignment(const json& request, const fs::path& folder);
  ~assignment();
  assignment(const assignment&) = delete;
  assignment& operator=(const assignment&) = delete;

  // Lets the model work on it until it is done or the time is up.
  void solve();
  // The answer to a request to run the program, without its id.
  json run(const json& request) const;

 private:
  const json request_;
  const fs::path folder_;
  task work_;
};

assignment::assignment(const json& request, const fs::path& folder)
    : request_(request), folder_(folder) {
  const auto time = milliseconds(request["seconds"].integer_or(60) * 1000);
  work_.deadline = std::chrono::system_clock::now() + time - std::min(time / 4, kept_back);
  work_.goal = request["text"].string_or();
  work_.workspace = (folder / "repository").string();
  work_.test_command = request["test"].string_or();
  work_.model = variable("GERMLINE_MODEL");
  fs::create_directories(work_.workspace);
  for (const auto& file : request["files"].items()) {
    const auto path = fs::path(work_.workspace) / file["path"].string_or();
    const auto written = write_file(path, file["text"].string_or());
    if (!written) std::fprintf(stderr, "agent: %s\n", written.why().c_str());
    std::error_code ignored;
    if (file["executable"].bool_or()) {
      fs::permissions(path, fs::perms::owner_exec, fs::perm_options::add, ignored);
    }
  }
  // So that the model can see what it has changed.
  run_command(first_commit, work_.workspace, seconds(10));
}

assignment::~assignment() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void assignment::solve() {
  const auto url = variable("ANTHROPIC_BASE_URL");
  const auto key = variable("ANTHROPIC_API_KEY");
  const events report(url, key);
  llm model(work_, url, key);
  shell bash(work_.workspace);
  tool_env env{work_, bash};
  const auto tools = all_tools(env);
  const repository clone(work_.workspace);
  memory nothing;
  session s{work_, model, tools, report, clone, nothing, {}};
  s.instructions = task_instructions();
  s.talk.say(ask_to_solve(request_["title"].string_or(), work_.goal, joined(request_["run"])));
  auto said = run_tool_loop(s, turns_per_task);
  for (int round = 0; round < rounds_of_mending && said.ending == loop_ending::done; ++round) {
    const auto tested = call_tool(tools, "test", json::of());
    if (!tested.is_error) break;
    s.talk.say(ask_to_mend_tests(bounded(tested.text, 4000, 8000)));
    said = run_tool_loop(s, turns_per_task);
  }
  if (!said.why.empty()) std::fprintf(stderr, "agent: %s\n", said.why.c_str());
}

json assignment::run(const json& request) const {
  std::vector<std::string> words{"bash", "-c", bounded_program, "bash"};
  for (const auto* list : {&request_["run"], &request["arguments"]}) {
    for (const auto& word : list->items()) words.push_back(word.string_or());
  }
  std::error_code ignored;
  fs::remove(folder_ / "stdout", ignored);  // an earlier answer is none to this
  const auto input = write_file(folder_ / "stdin", request["stdin"].string_or());
  if (!input) return json::of({{"problem", input.why()}});
  const auto done = run_process(words, work_.workspace, seconds(request["seconds"].integer_or(5)));
  if (done.timed_out) return json::of({{"problem", "it did not end in time"}});
  const auto output = read_file(folder_ / "stdout");
  if (!output) return json::of({{"problem", output.why()}});
  return json::of({{"exit", done.exit_code}, {"stdout", *output}});
}

}  // namespace

void serve_tasks(std::istream& in, std::ostream& out, const fs::path& folder) {
  std::unique_ptr<assignment> current;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const auto parsed = json::parse(line);
    const auto request = parsed ? *parsed : json();
    const auto what = request["do"].string_or();
    json answer = json::of();
    const auto wrong = misplaced(request["files"]);
    if (what == "solve") current.reset();
    if (!wrong.empty()) {
      answer["problem"] = wrong;
    } else if (what == "solve") {
      current = std::make_unique<assignment>(request, folder / ("task-" + std::to_string(number)));
      current->solve();
    } else if (what == "run" && current) {
      answer = current->run(request);
    } else {
      answer["problem"] = "there is nothing to do here but to solve, and then to run";
    }
    answer["id"] = request["id"];
    out << answer.text() << std::endl;
  }
}

}  // namespace agent
