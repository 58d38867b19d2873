#include "common/manifest/genome_manifest.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace germline;

namespace {

const std::string full = R"(schema = 1
[genome]
name = "builtin"
context = "memory/context.json"
[agent]
build = "make"
artefact = ["build/agent", "share"]
run = "build/agent --once"
result = "worktree"
model = "openai"
[test]
command = "sh test.sh"
report = "build/junit.xml"
[protect]
paths = ["protected/**"]
tests = "protected/run"
[fitness]
command = "protected/evaluate"
direction = "minimize"
run = "build/agent solve"
evaluations = 5
elite_evaluations = 20
wall_time = "20s"
[sandbox]
memory = "2GiB"
cpus = 1.5
wall_time = "30m"
pids = 64
disk = "1GiB"
)";

/// `full` with one text replaced.
std::string with(const std::string& from, const std::string& to) {
  auto text = full;
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  const auto parsed = parse_genome_manifest(text);
  return parsed ? "no error" : parsed.error().message();
}

}  // namespace

TEST_CASE("a full manifest is read") {
  const auto parsed = parse_genome_manifest(full);
  REQUIRE_MESSAGE(parsed, error_of(full));
  CHECK(parsed->name == "builtin");
  CHECK(parsed->context == "memory/context.json");
  CHECK(parsed->artefact == std::vector<std::string>{"build/agent", "share"});
  CHECK(parsed->run == "build/agent --once");
  CHECK(parsed->result == result_mode::worktree);
  CHECK(parsed->model == model_kind::openai);
  CHECK(parsed->test_report == "build/junit.xml");
  CHECK(parsed->protected_paths == std::vector<std::string>{"protected/**", "genome.toml"});
  CHECK(parsed->protected_tests == "protected/run");
  CHECK(parsed->fitness.command == "protected/evaluate");
  CHECK(parsed->fitness.direction == fitness_direction::minimize);
  CHECK(parsed->fitness.run == "build/agent solve");
  CHECK(parsed->fitness.evaluations == 5);
  CHECK(parsed->fitness.elite_evaluations == 20);
  CHECK(parsed->fitness.wall_time_ms == 20'000);
  CHECK(parsed->sandbox.memory_bytes == std::int64_t{2} << 30);
  CHECK(parsed->sandbox.cpu_milli == 1'500);
  CHECK(parsed->sandbox.wall_time_ms == 1'800'000);
  CHECK(parsed->sandbox.pids == 64);
}

TEST_CASE("candidates have no model unless [fitness] says so, whatever the agent has") {
  CHECK(parse_genome_manifest(full)->fitness.model == model_kind::none);
  const auto said = [](const char* value) {
    return with("wall_time = \"20s\"", "wall_time = \"20s\"\nmodel = " + std::string(value));
  };
  CHECK(parse_genome_manifest(said("\"anthropic\""))->fitness.model == model_kind::anthropic);
  CHECK(parse_genome_manifest(said("\"openai\""))->fitness.model == model_kind::openai);
  CHECK(parse_genome_manifest(said("\"none\""))->fitness.model == model_kind::none);
  CHECK(error_of(said("\"claude\"")) ==
        "genome.toml:24: `model` in [fitness] is 'claude'; write one of \"anthropic\", \"openai\","
        " \"none\"");
  CHECK(error_of(said("true")) ==
        "genome.toml:24: `model` in [fitness] is true or false; write one of \"anthropic\","
        " \"openai\", \"none\"");
}

TEST_CASE("a short manifest has defaults") {
  const auto parsed = parse_genome_manifest(
      "schema = 1\n[genome]\nname = \"a\"\n[agent]\nartefact = [\"x\"]\nrun = \"./x\"\n");
  REQUIRE(parsed);
  CHECK(parsed->context == "agent_context.json");
  CHECK(parsed->result == result_mode::push);
  CHECK(parsed->model == model_kind::anthropic);
  CHECK(parsed->protected_paths == std::vector<std::string>{"genome.toml"});
  CHECK(parsed->test_command.empty());
}

TEST_CASE("a path that no clone could check out is refused wherever it stands") {
  CHECK(error_of(with("memory/context.json", ".git/hooks/x")) ==
        "genome.toml:4: `context` in [genome] has '.git/hooks/x': the name '.git' is refused: file "
        "systems take it for .git");
  const auto refused = [](const std::string& from, const std::string& to) {
    const auto says = error_of(with(from, to));
    CHECK_MESSAGE(says.find("is refused: ") != std::string::npos, says);
    CHECK_MESSAGE(says.find("has '" + to.substr(1, to.size() - 2)) != std::string::npos, says);
  };
  refused("\"memory/context.json\"", "\"a/.GIT /b\"");
  refused("\"memory/context.json\"", "\"a/git~1\"");
  refused("\"share\"", "\".git/config\"");
  refused("\"build/junit.xml\"", "\"build/.git/x\"");
  refused("\"protected/run\"", "\"protected/.git/run\"");
  refused("\"protected/**\"", "\"protected/.git/**\"");
  CHECK(error_of(with("\"protected/**\"", "\"protected/**\", \".gitignore\", \"**/.git*\"")) ==
        "no error");
}

TEST_CASE("each error says where, what is wrong, and what would be right") {
  CHECK(error_of(with("artefact = [\"build/agent\", \"share\"]", "artifact = [\"a\"]")) ==
        "genome.toml:7: unknown key `artifact`; did you mean `artefact`? (in [agent])");
  CHECK(error_of(with("artefact = [\"build/agent\", \"share\"]\n", "")) ==
        "genome.toml:5: `artefact` in [agent] is missing; write artefact = [\"build/agent\"]");
  CHECK(error_of(with("context =", "contxt =")) ==
        "genome.toml:4: unknown key `contxt`; did you mean `context`? (in [genome])");
  CHECK(error_of(with("[sandbox]", "[sandbax]")) ==
        "genome.toml:24: unknown key `sandbax`; did you mean `sandbox`?");
  CHECK(error_of(with("schema = 1", "schema = 2")) == "genome.toml:1: `schema` must be 1");
  CHECK(error_of(with("\"30m\"", "\"30\"")) ==
        "genome.toml:27: `wall_time` in [sandbox] is wrong: '30' is not a duration; write a whole "
        "number with ms, s, m, h or d, such as \"30m\"");
  CHECK(error_of(with("\"2GiB\"", "2")) ==
        "genome.toml:25: `memory` in [sandbox] is a whole number; write a text in quotes");
  CHECK(error_of(with("\nevaluations = 5", "\nevaluations = 2"))
            .find("`elite_evaluations` in [fitness] needs at least 3 evaluations") !=
        std::string::npos);
  CHECK(
      error_of(with("elite_evaluations = 20", "elite_evaluations = 5")) ==
      "genome.toml:22: `elite_evaluations` in [fitness] must be more than evaluations, 5; or leave"
      " it out");
  CHECK(error_of(with("\"worktree\"", "\"tree\"")) ==
        "genome.toml:9: `result` in [agent] is 'tree'; write one of \"push\", \"worktree\"");
  CHECK(error_of(with("\"build/agent\", ", "\"../agent\", ")) ==
        "genome.toml:7: `artefact` in [agent] has '../agent'; write a relative path without '..', "
        "such as \"build/agent\"");
  CHECK(error_of(with("\"protected/**\"", "\"/protected\"")).find("it is absolute") !=
        std::string::npos);
  CHECK(error_of(with("\"protected/**\"", "\"other/**\"")) ==
        "genome.toml:16: `tests` in [protect] has 'protected/run', which no pattern of `paths` "
        "covers; add it to `paths`");
  CHECK(error_of(with("\"protected/**\"", "\"**\"")).find("the context must be free") !=
        std::string::npos);
  CHECK(error_of(with("report = \"build/junit.xml\"\n", "")) ==
        "genome.toml:11: `report` in [test] is missing; write report = \"build/junit.xml\"");
  CHECK(error_of("schema = 1\nx").find("genome.toml:2: not TOML: ") == 0);
  CHECK(error_of("schema = 1\n") ==
        "genome.toml:1: `genome` is missing; write [genome] with name = \"my-agent\"");
  CHECK(error_of("").find("`schema` is missing; write schema = 1") != std::string::npos);
  CHECK(error_of(std::string(70'000, '#')).find("at most 65536 are taken") != std::string::npos);
  CHECK(error_of("a = " + std::string(5'000, '[')).find("brackets") != std::string::npos);
}

namespace {

const std::string deps = R"([deps]
files = ["package.json", "package-lock.json"]
command = "npm ci"
mirrors = ["npm"]
wall_time = "5m"
disk = "1GiB"
)";

/// `full` and [deps], of which one text is replaced.
std::string deps_error(const std::string& from, const std::string& to) {
  auto text = deps;
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return error_of(full + text.replace(at, from.size(), to));
}

}  // namespace

TEST_CASE("[deps] is read, and its files are protected") {
  const auto parsed = parse_genome_manifest(full + deps);
  REQUIRE_MESSAGE(parsed, error_of(full + deps));
  CHECK(parsed->deps.files == std::vector<std::string>{"package.json", "package-lock.json"});
  CHECK(parsed->deps.command == "npm ci");
  CHECK(parsed->deps.mirrors == std::vector<std::string>{"npm"});
  CHECK(parsed->deps.wall_time_ms == 300'000);
  CHECK(parsed->deps.disk_bytes == 1 << 30);
  for (const std::string path : {"package.json", "package-lock.json", "genome.toml"}) {
    CHECK(std::count(parsed->protected_paths.begin(), parsed->protected_paths.end(), path) == 1);
  }
  const auto none = parse_genome_manifest(full);
  REQUIRE(none);
  CHECK(none->deps.files.empty());
}

TEST_CASE("what is wrong with [deps] is named") {
  const auto says = [](const std::string& message, const std::string& words) {
    CHECK_MESSAGE(message.find(words) != std::string::npos, message);
  };
  says(deps_error("command = \"npm ci\"\n", ""), "command");
  says(deps_error("mirrors = [\"npm\"]\n", ""), "mirrors");
  says(deps_error("files = [\"package.json\", \"package-lock.json\"]\n", ""), "files");
  says(deps_error("\"package.json\"", "\"../package.json\""), "without '..'");
  says(deps_error("\"package.json\"", "\"*.json\""), "without '*'");
  says(deps_error("\"package.json\"", "\"memory/context.json\""), "context");
  says(deps_error("\"package.json\"", "\"genome.toml\""), "manifest");
  says(deps_error("\"package.json\"", "\"package-lock.json\""), "twice");
  says(deps_error("[\"npm\"]", "[]"), "1 to 8 mirrors");
  says(deps_error("[\"npm\"]", "[\"NPM\"]"), "a-z, 0-9");
  says(deps_error("[\"npm\"]", "[\"npm\", \"npm\"]"), "twice");
  says(deps_error("\"5m\"", "\"1ms\""), "at least");
  says(deps_error("\"1GiB\"", "\"1KiB\""), "at least");
  says(deps_error("\"5m\"", "\"31m\""), "at most \"30m\"");
  says(deps_error("\"1GiB\"", "\"5GiB\""), "at most \"4GiB\"");
  says(deps_error("\"npm ci\"", "\"\""), "write what fetches");
  CHECK(deps_error("\"5m\"", "\"30m\"") == "no error");
  CHECK(deps_error("\"1GiB\"", "\"4GiB\"") == "no error");
  says(deps_error("command", "comand"), "command");
}
