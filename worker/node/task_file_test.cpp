#include "worker/node/task_file.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace germline;
using namespace germline::worker;

TEST_CASE("the task has every member that the schema requires") {
  v1::Lease lease;
  lease.set_attempt_id("att_1");
  lease.set_number(3);
  lease.add_notes("mind the tests");
  const auto task = nlohmann::json::parse(make_task_json(
      lease, {.deadline_utc_ms = 0, .wall_time_ms = 20'000, .context_path = "c.json"}));
  for (const auto* name :
       {"contract",     "run_id",       "lineage_id", "item_id",      "attempt_id",
        "number",       "goal",         "goal_hints", "notes",        "inspirations",
        "deadline_utc", "wall_time_ms", "budget",     "random_seed",  "workspace",
        "branch",       "remote",       "model",      "context_path", "build_command",
        "test_command"}) {
    CHECK_MESSAGE(task.contains(name), name);
  }
  CHECK(task["goal"].is_null());
  CHECK(task["wall_time_ms"] == 20'000);
  CHECK(task["notes"][0]["text"] == "mind the tests");
  CHECK(task["deadline_utc"] == "1970-01-01T00:00:00.000Z");
}

TEST_CASE("inspirations are told with their branch and how good they are") {
  v1::Lease lease;
  auto* one = lease.add_inspirations();
  one->set_generation_id("gen_1");
  one->set_mean(2.5);
  one->set_samples(3);
  lease.add_inspirations()->set_generation_id("gen_2");
  const auto told = nlohmann::json::parse(make_task_json(lease, {}))["inspirations"];
  REQUIRE(told.size() == 2);
  CHECK(told[0] == nlohmann::json({{"generation", "gen_1"},
                                   {"branch", "origin/inspiration-1"},
                                   {"fitness", {{"mean", 2.5}, {"samples", 3}}}}));
  CHECK(told[1]["branch"] == "origin/" + inspiration_branch(1));
}

TEST_CASE("a note with bytes that are no UTF-8 still gives a valid file") {
  v1::Lease lease;
  lease.set_goal("caf\xff");
  CHECK(nlohmann::json::accept(make_task_json(lease, {})));
}

TEST_CASE("words of the run command that name artefacts are found under the artefact's root") {
  const std::vector<std::string> artefact = {"build/agent.py", "build/agent"};
  CHECK(place_run_command("python3 build/agent.py --fast", artefact, "/a") ==
        "python3 /a/build/agent.py --fast");
  CHECK(place_run_command("./build/agent", artefact, "/a") == "/a/build/agent");
  CHECK(place_run_command("build/agent/run x", artefact, "/a") == "/a/build/agent/run x");
  CHECK(place_run_command("build/agents", artefact, "/a") == "build/agents");
  CHECK(place_run_command("true", artefact, "/a") == "true");
  CHECK(place_run_command("", artefact, "/a").empty());
}
