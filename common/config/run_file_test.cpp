#include "common/config/run_file.hpp"

#include <doctest/doctest.h>

namespace germline {

TEST_CASE("a full run.toml is read") {
  const auto run = parse_run_file(R"(schema = 1
[run]
name = "first"
repository = "../agent"
branch = "main"
folder = "worker/agent"
lineages = 2
iterations = 4
strategy = "archive-sampling,form=median"
inspirations = 3
priority = -10
weight = 4
goal = "learn to count"
random_seed = 7
[model]
name = "some-model"
budget = "$1.25"
[sandbox]
memory = "512MiB"
cpus = 1.5
wall_time = "10m"
pids = 64
disk = "1GiB"
[limits]
requests = 100
requests_per_minute = 20
output_tokens = 50000
budget = "0.10"
)",
                                  "run.toml");
  REQUIRE_MESSAGE(run.has_value(), (run ? "" : run.error().message()));
  CHECK(run->name == "first");
  CHECK(run->repository == "../agent");
  CHECK(run->branch == "main");
  CHECK(run->folder == "worker/agent");
  CHECK(run->lineages == 2);
  CHECK(run->iterations == 4);
  CHECK(run->strategy == "archive-sampling,form=median");
  CHECK(run->inspirations == 3);
  CHECK(run->priority == -10);
  CHECK(run->weight == 4);
  CHECK(run->goal == "learn to count");
  CHECK(run->random_seed == 7);
  CHECK(run->model == "some-model");
  CHECK(run->budget_nanousd == 1'250'000'000);
  CHECK(run->memory_bytes == 512LL * 1024 * 1024);
  CHECK(run->cpu_milli == 1500);
  CHECK(run->wall_time_ms == 600'000);
  CHECK(run->pids == 64);
  CHECK(run->disk_bytes == 1LL << 30);
  CHECK(run->max_requests == 100);
  CHECK(run->max_requests_per_minute == 20);
  CHECK(run->max_output_tokens == 50'000);
  CHECK(run->iteration_budget_nanousd == 100'000'000);
  CHECK(check_run(*run));
}

TEST_CASE("an unknown key names its place and the nearest known key") {
  const auto run = parse_run_file("schema = 1\n[run]\nlinages = 2\n", "run.toml");
  REQUIRE(!run);
  CHECK(run.error().message().find("run.toml:3: ") == 0);
  CHECK(run.error().message().find("`run.lineages`") != std::string::npos);
}

TEST_CASE("wrong values are refused and say where") {
  for (const char* text :
       {"[run]\nname = \"x\"\n", "schema = 2\n", "schema = 1\n[run]\nlineages = 0\n",
        "schema = 1\n[run]\nname = 3\n", "schema = 1\n[model]\nbudget = 5.0\n",
        "schema = 1\n[sandbox]\nmemory = \"many\"\n", "schema = 1\n[sandbox]\ncpus = -1\n",
        "schema = 1\n[run]\nname = [\"a\"]\n", "schema = 1\n[run\n"}) {
    CAPTURE(text);
    const auto run = parse_run_file(text, "run.toml");
    REQUIRE(!run);
    CHECK(run.error().code() == error_code::invalid_argument);
    CHECK(run.error().message().find("run.toml:") == 0);
  }
}

TEST_CASE("a model needs a budget") {
  run_file run;
  CHECK(check_run(run));
  run.model = "m";
  REQUIRE(!check_run(run));
  CHECK(check_run(run).error().message().find("--budget") != std::string::npos);
  run.budget_nanousd = 0;
  REQUIRE(!check_run(run));
  CHECK(check_run(run).error().message().find("with a budget of $0.00") != std::string::npos);
  run.budget_nanousd = 1;
  CHECK(check_run(run));
  run.model.clear();
  run.budget_nanousd = 1;
  CHECK(!check_run(run));
}

TEST_CASE("what a lineage may spend is a part of the run's budget") {
  const auto said = [](const char* value) {
    return parse_run_file("schema = 1\n[model]\nname = \"m\"\nbudget = \"$1\"\nlineage_budget = " +
                              std::string(value) + "\n",
                          "run.toml");
  };
  const auto run = said("\"$0.10\"");
  REQUIRE(run);
  CHECK(run->lineage_budget_nanousd == 100'000'000);
  CHECK(check_run(*run));
  CHECK_FALSE(said("0.1"));
  CHECK(check_run(*said("\"$0\"")).error().message() ==
        "a lineage may spend more than $0, no more than the run's budget, $1.00, and no less than "
        "an evaluation may cost: not $0.00 (--lineage-budget, or lineage_budget in [model])");
  CHECK_FALSE(check_run(*said("\"$1.01\"")));
  auto less_than_an_evaluation = *run;
  less_than_an_evaluation.evaluation_budget_nanousd = 100'000'001;
  CHECK_FALSE(check_run(less_than_an_evaluation));
  auto without = *run;
  without.model.clear();
  without.budget_nanousd = -1;
  CHECK_FALSE(check_run(without));
}

TEST_CASE("what a run may take of tokens and requests is a number, or one with a letter") {
  const auto said = [](const std::string& lines) {
    return parse_run_file("schema = 1\n[model]\nname = \"m\"\nbudget = \"$1\"\n" + lines,
                          "run.toml");
  };
  const auto run = said(
      "token_budget = \"50M\"\nrequest_budget = 2000\nlineage_token_budget = 1000000\n"
      "lineage_request_budget = \"1k\"\nevaluation_token_budget = \"500k\"\n"
      "evaluation_request_budget = 20\n");
  REQUIRE_MESSAGE(run, run.error().message());
  CHECK(run->budget_tokens == 50'000'000);
  CHECK(run->budget_requests == 2'000);
  CHECK(run->lineage_budget_tokens == 1'000'000);
  CHECK(run->lineage_budget_requests == 1'000);
  CHECK(run->evaluation_budget_tokens == 500'000);
  CHECK(run->evaluation_budget_requests == 20);
  CHECK(check_run(*run));
  CHECK_FALSE(said("token_budget = \"50 million\"\n"));
  CHECK_FALSE(said("token_budget = 1.5\n"));
  CHECK_FALSE(said("token_budget = -1\n"));
  const auto words = [&](const char* lines) {
    const auto parsed = said(lines);
    REQUIRE(parsed);
    const auto checked = check_run(*parsed);
    return checked ? std::string() : checked.error().message();
  };
  CHECK(words("token_budget = 0\n") ==
        "a run's budget of tokens is above 0, or none at all (--token-budget, or token_budget in "
        "[model])");
  CHECK(words("request_budget = 10\nlineage_request_budget = 11\n") ==
        "a lineage may take more than 0 requests, no more than the run, 10 requests, and no less "
        "than an evaluation: not 11 requests (--lineage-request-budget, or lineage_request_budget "
        "in [model])");
  CHECK(words("evaluation_token_budget = 0\n").find("an evaluation may take more than 0 tokens") ==
        0);
  CHECK(words("lineage_token_budget = 5\n").empty());
  auto without = *run;
  without.model.clear();
  without.budget_nanousd = -1;
  CHECK(check_run(without).error().message() ==
        "a budget of tokens needs --model (or name in [model]) (--token-budget, or token_budget in "
        "[model])");
}

TEST_CASE("what an evaluation may cost is a part of the run's budget") {
  const auto said = [](const char* value) {
    return parse_run_file(
        "schema = 1\n[model]\nname = \"m\"\nbudget = \"$1\"\nevaluation_budget = " +
            std::string(value) + "\n",
        "run.toml");
  };
  const auto run = said("\"$0.10\"");
  REQUIRE(run);
  CHECK(run->evaluation_budget_nanousd == 100'000'000);
  CHECK(check_run(*run));
  for (const char* wrong : {"0.1", "\"-1\"", "\"ten cents\"", "[]"}) {
    CAPTURE(wrong);
    const auto refused = said(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message().find("run.toml:5: `model.evaluation_budget`") == 0);
  }
  CHECK(check_run(*said("\"$0\"")).error().message() ==
        "an evaluation may cost more than $0 and no more than the run's budget, $1.00: not $0.00 "
        "(--evaluation-budget, or evaluation_budget in [model])");
  CHECK_FALSE(check_run(*said("\"$1.01\"")));
  auto without = *run;
  without.model.clear();
  without.budget_nanousd = -1;
  CHECK(check_run(without).error().message() ==
        "what an evaluation may cost needs --model (or name in [model])");
}

TEST_CASE("the texts of a run have bounds, and its folder lies in the repository") {
  run_file run;
  run.goal = std::string(goal_bytes_max, 'g');
  for (const char* folder : {"", "agents/one", "agents/one/"}) {
    run.folder = folder;
    CHECK(check_run(run));
  }
  for (const char* folder : {"/", "//", "/agents", "../agents", "agents//one", ".", "./agents"}) {
    CAPTURE(folder);
    run.folder = folder;
    REQUIRE(!check_run(run));
    CHECK(check_run(run).error().message().find("such as agents/one") != std::string::npos);
  }
  run.folder.clear();
  run.goal += 'g';
  REQUIRE(!check_run(run));
  CHECK(check_run(run).error().message() ==
        "the goal has 8193 bytes; at most 8192 are taken: put the rest into a file of the genome, "
        "and name it in the goal");
  run.goal.clear();
  run.name = std::string(name_bytes_max + 1, 'n');
  CHECK(!check_run(run));
}

TEST_CASE("a strategy is a name with options, and which there are is not judged here") {
  run_file run;
  for (const char* strategy :
       {"", "chain", "best", "archive-sampling,form=median", "x_1,a=b,c=0.5"}) {
    CAPTURE(strategy);
    run.strategy = strategy;
    CHECK(check_run(run));
  }
  for (const char* strategy : {",", "best,", "best,,", "best,form", "best,=median", "best,form=",
                               "best,form=a=b", "form=median", " best", "best, form=median",
                               "best,form=median,", "be\x1bst", "b\xc3\xa9st"}) {
    CAPTURE(strategy);
    run.strategy = strategy;
    REQUIRE(!check_run(run));
    CHECK(check_run(run).error().code() == error_code::invalid_argument);
    CHECK(check_run(run).error().message().find("is no strategy: write its name") !=
          std::string::npos);
  }
  run.strategy = std::string(strategy_bytes_max, 's');
  CHECK(check_run(run));
  run.strategy += 's';
  REQUIRE(!check_run(run));
  CHECK(check_run(run).error().message() == "the strategy has 257 bytes; at most 256 are taken");
  const auto wrong = parse_run_file("schema = 1\n[run]\nstrategy = 3\n", "run.toml");
  REQUIRE(!wrong);
  CHECK(wrong.error().message() == "run.toml:3: `run.strategy`: must be a string");
}

TEST_CASE("CPUs are read exactly") {
  CHECK(*parse_cpu_milli("2") == 2000);
  CHECK(*parse_cpu_milli("0.5") == 500);
  for (const char* text : {"0", "-1", "$2", "0.0001", "1025", "two", ""}) {
    CAPTURE(text);
    CHECK(!parse_cpu_milli(text));
  }
}

TEST_CASE("a run requires tags of its workers") {
  const auto run = parse_run_file("schema = 1\n[run]\nrequire = [\"zone=a\", \"gpu\"]\n", "r.toml");
  REQUIRE(run);
  CHECK(run->required_tags == std::vector<std::string>{"gpu", "zone=a"});
  CHECK(parse_run_file("schema = 1\n[run]\nrequire = []\n", "r.toml")->required_tags.empty());
  for (const char* wrong : {"\"gpu\"", "[\"GPU\"]", "[1]", "3", "[\"a\", 1]"}) {
    CAPTURE(wrong);
    const auto refused =
        parse_run_file("schema = 1\n[run]\nrequire = " + std::string(wrong) + "\n", "r.toml");
    REQUIRE(!refused);
    CHECK(refused.error().message().find("r.toml:3: `run.require`") == 0);
  }
}

TEST_CASE("several models are named once each, and one alone is the model") {
  const auto two = parse_run_file(
      "schema = 1\n[model]\nnames = [\"a\", \"b\"]\nchoice = \"thompson\"\nbudget = \"$1\"\n",
      "run.toml");
  REQUIRE(two);
  CHECK(two->model == "a");
  CHECK(two->models == std::vector<std::string>{"a", "b"});
  CHECK(two->model_choice == "thompson");
  CHECK(check_run(*two));
  const auto one = parse_run_file("schema = 1\n[model]\nnames = [\"a\"]\n", "run.toml");
  REQUIRE(one);
  CHECK(one->model == "a");
  CHECK(one->models.empty());
  for (const auto* both : {"name = \"a\"\nnames = [\"b\"]\n", "names = [\"b\"]\nname = \"a\"\n"}) {
    const auto run = parse_run_file(std::string("schema = 1\n[model]\n") + both, "run.toml");
    REQUIRE_FALSE(run);
    CHECK(run.error().message().find("give one of both") != std::string::npos);
  }
  CHECK_FALSE(parse_run_file("schema = 1\n[model]\nnames = []\n", "run.toml"));
  CHECK_FALSE(parse_run_file("schema = 1\n[model]\nnames = [\"\"]\n", "run.toml"));
  CHECK(check_models("a", {"a", "a"}).error().message() == "the model a is named twice");
  CHECK(check_models("b", {"a", "b"}).error().message() == "the model is the first of several");
  CHECK_FALSE(check_models("a", {"a", ""}));
  CHECK_FALSE(check_models("a", {"a", "b\nc"}));
  CHECK_FALSE(check_models("a", {"a", std::string("b\0c", 3)}));
  CHECK_FALSE(check_models("a", std::vector<std::string>(17, "a")));
  auto alone = *one;
  alone.budget_nanousd = 1;
  alone.model_choice = "ucb1";
  CHECK(check_run(alone).error().message().find("needs several models") != std::string::npos);
}

TEST_CASE("a share is within its bounds, and says them") {
  CHECK(check_share(-1'000, 1));
  CHECK(check_share(1'000, 1'000));
  CHECK(check_share(1'001, 1).error().message() == "a priority is from -1000 to 1000, not 1001");
  CHECK(check_share(-1'001, 1).error().message() == "a priority is from -1000 to 1000, not -1001");
  CHECK(check_share(0, 0).error().message() == "a weight is from 1 to 1000, not 0");
  CHECK(check_share(0, 1'001).error().message() == "a weight is from 1 to 1000, not 1001");
  CHECK_FALSE(parse_run_file("schema = 1\n[run]\nweight = 0\n", "run.toml"));
  CHECK_FALSE(parse_run_file("schema = 1\n[run]\npriority = 1001\n", "run.toml"));
  CHECK_FALSE(parse_run_file("schema = 1\n[run]\ninspirations = 9\n", "run.toml"));
}

}  // namespace germline
