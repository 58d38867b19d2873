// Policies as people give them and ask about them, and the plan of a run that is not started.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/fake_control.hpp"

namespace germline::cli {

using testing::fixture;

TEST_CASE("run sends its rules, those of flags in place of those of the file") {
  fixture with;
  const auto file = with.place.at("run.toml");
  std::ofstream(file) << "schema = 1\n[run]\nrepository = \".\"\n"
                         "policy = [\"age 24h warn\", \"cost $2 kill\"]\n";
  CHECK(with.run("run --file " + file).code == 0);
  REQUIRE(with.control.created.policy_size() == 2);
  CHECK(with.control.created.policy(1) == "cost $2 kill");
  CHECK(with.run("run --file " + file + " --policy 'failure-streak 3 pause' --policy 'age 1h warn'")
            .code == 0);
  REQUIRE(with.control.created.policy_size() == 2);
  CHECK(with.control.created.policy(0) == "failure-streak 3 pause");
  std::ofstream(file) << "schema = 1\n[run]\npolicy = \"age 24h warn\"\n";
  const auto wrong = with.run("run --file " + file);
  CHECK(wrong.code == 2);
  CHECK(wrong.err.find("run.toml:3: `run.policy`: must be a list of rules") != std::string::npos);
}

TEST_CASE("policy test asks by the rules named, those of a file, or the run's own") {
  fixture with;
  const auto result = with.run("policy test run_1 'failure-streak 2 pause' 'age 1h warn'");
  CHECK(result.code == 0);
  CHECK(with.control.judged.target() == "run_1");
  CHECK(with.control.judged.policy_size() == 2);
  CHECK(result.out.find("failure-streak 2 pause: 2 iterations in a row failed\n") !=
        std::string::npos);
  CHECK(result.out.find("1 of 2 rules was hit, in 1 of 2 lineages; 7 iterations looked at\n") !=
        std::string::npos);
  CHECK(with.run("policy test run_1").code == 0);
  CHECK(with.control.judged.policy().empty());
  const auto file = with.place.at("run.toml");
  std::ofstream(file) << "schema = 1\n[run]\npolicy = [\"age 24h warn\"]\n";
  const auto parsed =
      nlohmann::json::parse(with.run("policy test run_1 --json --file " + file).out);
  CHECK(parsed["policy"] == nlohmann::json::array({"age 24h warn"}));
  std::ofstream(file) << "schema = 1\n";
  const auto none = with.run("policy test run_1 --file " + file);
  CHECK(none.code == 2);
  CHECK(none.err.find("has no rules") != std::string::npos);
  CHECK(with.run("policy test run_1 'age 1h warn' --file " + file).code == 2);
  CHECK(with.run("policy test").code == 2);
}

TEST_CASE("a dry run prints the plan and starts nothing") {
  fixture with;
  const auto result = with.run("run " + with.place.at("") +
                               " --dry-run --lineages 3 --iterations 4 --model m --budget '$5'");
  CHECK(result.code == 0);
  CHECK(with.control.created.only_plan());
  CHECK(result.out.find("iterations    at most 12\n") != std::string::npos);
  CHECK(result.out.find("cost          at most $1.50, of a budget of $5.00\n") !=
        std::string::npos);
  CHECK(result.out.find("it would wait") != std::string::npos);
  const auto in_json = [&with] {
    return nlohmann::json::parse(with.run("run " + with.place.at("") + " --dry-run --json").out);
  };
  CHECK(in_json()["genome"] == "tiny");
  CHECK_FALSE(in_json().contains("deps"));
  CHECK(with.run("run " + with.place.at("") + " --dry-run --follow").code == 2);
  CHECK(result.out.find("deps") == std::string::npos);
  // What it fetches.
  std::ofstream(with.place.at("genome.toml")) << R"(schema = 1
[genome]
name = "tiny"
[agent]
artefact = ["agent"]
run = "agent"
[deps]
files = ["package.json"]
command = "npm ci"
mirrors = ["npm"]
[protect]
paths = ["protected/**"]
tests = "protected/run"
)";
  const auto git = "git -C " + with.place.at("") + " -c user.name=u -c user.email=u@e ";
  const auto commit = git + "add -f genome.toml && " + git + "commit -q -m deps";
  REQUIRE(std::system(commit.c_str()) == 0);  // NOLINT(concurrency-mt-unsafe)
  const auto fetching = with.run("run " + with.place.at("") + " --dry-run --iterations 1");
  CHECK(fetching.out.find("deps          `npm ci`, from the mirror npm, once on each worker that "
                          "has it\n") != std::string::npos);
  const auto plan = in_json();
  CHECK(plan["genome"] == "tiny");
  CHECK(plan["max_iterations"].is_string());  // as the proto's mapping has it
  CHECK(plan["deps"] == nlohmann::json::parse(R"({"files": ["package.json"],
    "command": "npm ci", "mirrors": ["npm"]})"));
}

}  // namespace germline::cli
