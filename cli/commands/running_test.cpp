// The commands that begin runs, follow them and steer lineages: what they ask of a coordinator, and
// what they say of its answers.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/fake_control.hpp"

namespace germline::cli {

namespace fs = std::filesystem;
using testing::fixture;
using testing::folder;
using testing::germline;
using testing::slurp;

TEST_CASE("run sends what was said, flags over the file") {
  fixture with;
  std::ofstream(with.place.at("run.toml"))
      << "schema = 1\n[run]\nrepository = \".\"\nlineages = 3\niterations = 9\n"
         "[sandbox]\nmemory = \"1GiB\"\ncpus = 0.5\n";
  const auto result = with.run("run --file " + with.place.at("run.toml") +
                               " --iterations 4 --model m --budget '$0.10' --goal 'a b'");
  CHECK(result.err == "lineage lin_1\n");
  CHECK(result.code == 0);
  CHECK(result.out == "run_1\n");
  CHECK(with.control.created.lineages() == 3);
  CHECK(with.control.created.max_iterations() == 4);
  CHECK(with.control.created.budget_nanousd() == 100'000'000);
  CHECK(with.control.created.goal() == "a b");
  CHECK(with.control.created.limits().memory_bytes() == 1 << 30);
  CHECK(with.control.created.limits().cpu_milli() == 500);
  CHECK(fs::path(with.control.created.repository()).is_absolute());
  CHECK(with.control.seed.starts_with("PACK"));
  CHECK(with.control.created.seed_id() == "seed_1");
  CHECK(with.control.created.seed_commit().size() == 40);
  CHECK(with.control.created.branch() == "main");
}

TEST_CASE("run sends what may be taken of tokens and requests") {
  fixture with;
  std::ofstream(with.place.at("run.toml"))
      << "schema = 1\n[run]\nrepository = \".\"\n[model]\nname = \"m\"\nbudget = \"$1\"\n"
         "token_budget = \"50M\"\nlineage_request_budget = 30\n";
  const auto file = "run --file " + with.place.at("run.toml");
  CHECK(with.run(file + " --request-budget 2k --lineage-token-budget 1.5M").code == 0);
  const auto& created = with.control.created;
  CHECK(created.budget_tokens() == 50'000'000);
  CHECK(created.budget_requests() == 2'000);
  CHECK(created.lineage_budget_tokens() == 1'500'000);
  CHECK(created.lineage_budget_requests() == 30);
  CHECK(created.evaluation_budget_tokens() == 0);
  const auto wrong = with.run(file + " --token-budget 5m");
  CHECK(wrong.code == 2);
  CHECK(wrong.err.find("--token-budget: '5m' is not a number") != std::string::npos);
  CHECK(
      with.run(file + " --lineage-token-budget 51M").err.find("no more than the run, 50M tokens") !=
      std::string::npos);
}

TEST_CASE("run sends what evaluators alone are to see, and what each evaluation may cost") {
  fixture with;
  fs::create_directories(with.place.at("answers/more"));
  std::ofstream(with.place.at("answers/b")) << "2";
  std::ofstream(with.place.at("answers/more/a")) << "1";
  std::ofstream(with.place.at("run.toml"))
      << "schema = 1\n[run]\nrepository = \".\"\nheld_out = \"answers\"\n"
         "[model]\nname = \"m\"\nbudget = \"$1\"\nevaluation_budget = \"$0.20\"\n";
  const auto file = "run --file " + with.place.at("run.toml");
  CHECK(with.run(file).code == 0);
  CHECK(with.control.created.evaluation_budget_nanousd() == 200'000'000);
  CHECK(with.control.created.held_out_id() == "held_1");
  CHECK(with.control.held_out.find("more/a") != std::string::npos);
  CHECK(with.run(file + " --evaluation-budget 0.05").code == 0);
  CHECK(with.control.created.evaluation_budget_nanousd() == 50'000'000);

  const auto refused = [&](const std::string& words, const std::string& says) {
    const auto told = with.run("run " + with.place.at("") + " " + words);
    CHECK(told.code == 2);
    CHECK_MESSAGE(told.err.find(says) != std::string::npos, told.err);
  };
  const auto held = "--held-out " + with.place.at("answers");
  refused("--held-out " + with.place.at("nowhere"), "--held-out: there is no folder");
  refused("--held-out " + with.place.at("run.toml"), "is no folder");
  fs::create_symlink("b", with.place.at("answers/link"));
  refused(held, "answers/link is a symbolic link: put plain files and folders there alone");
  fs::remove(with.place.at("answers/link"));
  REQUIRE(::mkfifo(with.place.at("answers/pipe").c_str(), 0600) == 0);
  refused(held, "answers/pipe is no plain file: put plain files and folders there alone");
  fs::remove(with.place.at("answers/pipe"));
  fs::resize_file(with.place.at("answers/b"), (16 << 20) + 1);
  refused(held, "has more than 16 MiB, with ");
  fs::resize_file(with.place.at("answers/b"), 1);
  for (int i = 0; i < 999; ++i) std::ofstream(with.place.at("answers/f" + std::to_string(i)));
  refused(held, "has more than 1000 files; put several into one");
  fs::remove_all(with.place.at("answers"));
  fs::create_directories(with.place.at("answers/empty"));
  refused(held, "has no files");
  std::ofstream(with.place.at("answers/a")) << "1";
  const auto git = "git -C " + with.place.at("") + " -c user.name=u -c user.email=u@e ";
  REQUIRE(::system((git + "add -f answers && " + git + "commit -qm answers").c_str()) == 0);
  refused(held, "is committed in the repository, where agents read it");
}

TEST_CASE("run holds nothing out that the repository's history has") {
  fixture with;
  const auto held = "run " + with.place.at("") + " --held-out " + with.place.at("..answers");
  const auto git = "git -C " + with.place.at("") + " -c user.name=u -c user.email=u@e ";
  const auto commit = [&] {
    REQUIRE(::system((git + "add -f -A && " + git + "commit -qm some").c_str()) == 0);
  };
  fs::create_directories(with.place.at("..answers"));
  std::ofstream(with.place.at("..answers/long")) << std::string(32, 'a');
  std::ofstream(with.place.at("..answers/short")) << std::string(31, 'b');
  commit();
  CHECK(with.run(held).err.find("..answers' is committed in the") != std::string::npos);
  REQUIRE(::system((git + "rm -rq --cached ..answers").c_str()) == 0);
  REQUIRE(::system((git + "commit -qm none").c_str()) == 0);
  const auto told = with.run(held);
  CHECK(told.code == 2);
  CHECK_MESSAGE(told.err.find("the content of 'long' is in the repository or its history") !=
                    std::string::npos,
                told.err);
  CHECK(with.control.seed.empty());
  std::ofstream(with.place.at("..answers/long")) << std::string(32, 'c');
  CHECK(with.run(held).code == 0);
  CHECK(with.control.created.held_out_id() == "held_1");
}

TEST_CASE("run imports the best of an archive that was written to a file") {
  fixture with;
  const auto line = [](const std::string& id, double score, const std::string& more) {
    return R"({"run_id":"run_9","fitness_direction":"FITNESS_DIRECTION_MINIMIZE",)"
           R"("generation":{"generation_id":")" +
           id + R"(","commit":")" + std::string(40, id.back()) +
           R"(","fitness":{"samples":1,"mean":)" + std::to_string(score) + R"(,"low":)" +
           std::to_string(score) + R"(,"high":)" + std::to_string(score) + "}" + more + "}}\n";
  };
  const auto file = with.place.at("archive.jsonl");
  const std::string parent = R"(,"parent":"gen_1")";
  std::ofstream(file) << line("gen_1", 0, "") << line("gen_2", 3, parent)
                      << line("gen_3", 1, parent) << line("gen_4", 2, parent)
                      << line("gen_5", 0, parent + R"(,"barred":true)") << line("gen_6", 9, parent);
  const auto ask = "run " + with.place.at("") + " --strategy best --import " + file;
  CHECK(with.run(ask + " --import-count 2").code == 0);
  const auto& sent = with.control.created;
  REQUIRE(sent.imports_size() == 2);
  CHECK(sent.imports(0).generation_id() == "gen_3");
  CHECK(sent.imports(0).commit() == std::string(40, '3'));
  CHECK(sent.imports(1).generation_id() == "gen_4");
  CHECK(with.run(ask).code == 0);
  CHECK(with.control.created.imports_size() == 4);  // neither the seed nor what was killed

  std::ofstream(file, std::ios::app) << "gen_7,1\n";
  const auto bad = with.run(ask);
  CHECK(bad.code == 2);
  CHECK(bad.err.find("archive.jsonl, line 7: this is no object in JSON; ") != std::string::npos);
  CHECK(bad.err.find("write the file with `germline archive export`") != std::string::npos);
  const auto twice = line("gen_3", 1, parent) + "\n" + line("gen_3", 1, parent);
  std::ofstream(file) << line("gen_1", 0, "") << twice;
  CHECK(with.run(ask).code == 0);
  CHECK(with.control.created.imports_size() == 1);
  std::ofstream(file) << "\n";
  CHECK(with.run(ask).err.find("archive.jsonl is empty; write it with") != std::string::npos);
  CHECK(with.run("run " + with.place.at("") + " --import /dev/zero").err.find("256 MiB") !=
        std::string::npos);
  CHECK(with.run("run " + with.place.at("") + " --import gen_3").code == 2);
  std::ofstream(file) << line("gen_1", 0, "");
  CHECK(with.run(ask).err.find("has no generation but its seed") != std::string::npos);
  CHECK(with.run("run " + with.place.at("") + " --import-count 2").code == 2);
}

TEST_CASE("what is not committed is told on standard error, and no part of the run") {
  fixture with;
  for (const char* name : {"A", "B", "C", "D", "E"}) std::ofstream(with.place.at(name)) << "new\n";
  const auto result = with.run("run " + with.place.at("") + " --json");
  CHECK(result.code == 0);
  CHECK(result.err == "germline: not committed, and so no part of the run: A, B, C and 2 more\n");
  CHECK(nlohmann::json::parse(result.out)["run_id"] == "run_1");
  std::ofstream(with.place.at(".gitconfig")) << "[core]\nexcludesFile = ~/ignored\n";
  std::ofstream(with.place.at("ignored")) << "[A-D]\n.gitconfig\n";
  CHECK(with.run("run " + with.place.at("")).err ==
        "germline: not committed, and so no part of the run: E\nlineage lin_1\n");
}

TEST_CASE("follow ends when every lineage is settled, and fails when the seed is refused") {
  fixture with;
  const auto done = with.run("run " + with.place.at("") + " --follow");
  CHECK(done.code == 0);
  CHECK(done.out.find("steal\\x1b[2J") != std::string::npos);
  CHECK(done.out.find("  done, depth") != std::string::npos);
  with.control.found_state = "refused";
  const auto refused = with.run("run " + with.place.at("") + " --follow");
  CHECK(refused.code == 1);
  CHECK(refused.err == "lineage lin_1\ngermline: the seed was refused: the build is red\n");
  CHECK(refused.out.find("the build is red") == std::string::npos);
}

TEST_CASE("follow says why a lineage was paused") {
  fixture with;
  with.control.pause_reason = v1::PAUSE_REASON_BUDGET;
  const auto paused = with.run("run " + with.place.at("") + " --follow");
  CHECK(paused.code == 0);
  CHECK(paused.err.find("germline: lin_1 is paused (budget): not a cent is left. It goes on with: "
                        "germline resume lin_1\n") != std::string::npos);
  with.control.pause_details = "the run's budget is spent, then `germline resume` the lineage";
  const auto told = with.run("run " + with.place.at("") + " --follow");
  CHECK(told.err.find("then `germline resume` the lineage\n") != std::string::npos);
}

TEST_CASE("logs -f outlives breaks of its stream, and tells each event once") {
  fixture with;
  const auto followed = with.run("logs -f breaks");
  CHECK(followed.code == 0);
  for (const char* step : {"step0", "step1", "step2"}) {
    const auto first = followed.out.find(step);
    REQUIRE(first != std::string::npos);
    CHECK(followed.out.find(step, first + 1) == std::string::npos);
  }
  CHECK(followed.err.find(
            "the coordinator is away; waiting for it\ngermline: the coordinator is back\n") !=
        std::string::npos);
  folder nowhere;
  CHECK(germline(nowhere, "logs -f x --coordinator unix:" + nowhere.at("none")).code == 4);
}

TEST_CASE("kill prints the proof; logs in JSON are one object a line") {
  fixture with;
  const auto killed = with.run("kill --all --why 'enough'");
  CHECK(killed.code == 0);
  CHECK(killed.out.find("killed  42ms") != std::string::npos);
  CHECK(with.control.killed.target() == "all");
  CHECK(with.control.killed.why() == "enough");
  const auto logs = with.run("logs run_1 --json");
  CHECK(logs.code == 0);
  CHECK(nlohmann::json::parse(logs.out)["progress"]["step"] == "steal\x1b[2J");
}

TEST_CASE("a kill goes for a clade where that is said") {
  fixture with;
  CHECK(with.run("kill lin_1").code == 0);
  CHECK_FALSE(with.control.killed.clade());
  CHECK(with.run("kill gen_1").code == 0);
  CHECK(with.control.killed.target() == "gen_1");
  CHECK(with.run("kill lin_1 --clade").code == 0);
  CHECK(with.control.killed.clade());
  CHECK(with.run("kill --all --clade").code == 2);
}

TEST_CASE("6: a kill without proof says who still has what, and what to do") {
  fixture with;
  with.control.without_proof = true;
  const auto killed = with.run("kill lin_1");
  CHECK(killed.code == 6);
  CHECK(killed.out.find("no proof  42ms") != std::string::npos);
  CHECK(killed.err.find("lin_1 is killed, and there is no proof") != std::string::npos);
  CHECK(killed.err.find("worker wrk_1 said ") != std::string::npos);
  CHECK(killed.err.find(" ago that it still has att_1\n") != std::string::npos);
  CHECK(killed.err.find("germline kill lin_1\n") != std::string::npos);
  const auto json = with.run("kill lin_1 --json");
  CHECK(json.code == 6);
  const auto value = nlohmann::json::parse(json.out);
  CHECK(value["lineages"][0]["proof"] == "KILL_PROOF_NONE");
  CHECK(value["lineages"][0]["remaining"][0]["worker_id"] == "wrk_1");
}

TEST_CASE("a kill is waited for longer than a coordinator takes to answer") {
  fixture with;
  // Two waits of kill_wait_s at its most, 50, with 8 s each for the record.
  constexpr int slowest_answer_s = 2 * (50 + 8);
  CHECK(with.run("kill lin_1").code == 0);
  CHECK(with.control.patience_s > slowest_answer_s);
  CHECK(with.run("scale run_1 0 --kill").code == 0);
  CHECK(with.control.patience_s > slowest_answer_s);
}

TEST_CASE("share sets what is said, and tells what the run has then") {
  fixture with;
  CHECK(with.run("share run_1 --weight 3").out == "run_1 weight 3, priority 7\n");
  CHECK(with.control.shared.run() == "run_1");
  CHECK(with.control.shared.weight() == 3);
  CHECK_FALSE(with.control.shared.has_priority());
  CHECK(with.run("share run_1 --priority -5").out == "run_1 weight 2, priority -5\n");
  CHECK(with.control.shared.priority() == -5);
  CHECK_FALSE(with.control.shared.has_weight());
  CHECK(with.run("share run_1 --priority 0 --weight 1").out == "run_1 weight 1\n");
  CHECK(with.run("share nope --weight 1").code == 3);
}

TEST_CASE("budget tells what may be spent, and sets what is said") {
  fixture with;
  auto& told = with.control.budgets;
  told.mutable_fleet()->set_budget_nanousd(20'000'000'000);
  told.mutable_fleet()->set_per_day(true);
  told.mutable_fleet()->set_spent_nanousd(1'500'000'000);
  told.mutable_fleet()->set_held_nanousd(500'000'000);
  told.mutable_fleet()->set_spent_in_all_nanousd(7'000'000'000);
  told.mutable_fleet()->set_unreconciled_nanousd(250'000'000);
  auto& run = *told.add_runs();
  run.set_id("run_1");
  run.set_name("first");
  run.set_spent_nanousd(7'000'000'000);
  CHECK(
      with.run("budget --all").out ==
      "WHOSE               BUDGET      SPENT  HELD   LEFT\n"
      "fleet, today (UTC)  $20.00/day  $1.50  $0.50  $18.00\n"
      "run_1 first         -           $7.00  $0.00  -\n"
      "in all days the fleet has spent $7.00\n"
      "$0.25 of what is spent are whole slices of attempts whose workers went away; a worker that "
      "comes back tells what they really cost\n");
  const auto listed = with.run("budget");
  CHECK(listed.out.find("run_1") == std::string::npos);
  CHECK(listed.err == "germline: 1 run that is over: germline budget --all\n");
  CHECK(with.run("budget --json").out.find("run_1") != std::string::npos);
  with.control.pause_reason = v1::PAUSE_REASON_BUDGET;
  CHECK(with.run("budget").out.find("run_1") != std::string::npos);
  CHECK(with.run("budget").err.empty());
  const auto nobodys = with.run("budget nope");
  CHECK(nobodys.code == 3);
  CHECK(nobodys.err.find("a budget is a run's or a lineage's") != std::string::npos);
  CHECK(with.run("budget run_1 '$10'").code == 0);
  CHECK(with.control.budgeted.target() == "run_1");
  CHECK(with.control.budgeted.budget_nanousd() == 10'000'000'000);
  CHECK_FALSE(with.control.budgeted.per_day());
  CHECK(with.run("budget --fleet '$20/day' --json").code == 0);
  CHECK(with.control.budgeted.target().empty());
  CHECK(with.control.budgeted.per_day());
  CHECK(with.run("budget --fleet none").code == 0);
  CHECK_FALSE(with.control.budgeted.has_budget_nanousd());
  CHECK(with.run("budget --fleet none").out.find("run_1") == std::string::npos);
  told.mutable_fleet()->set_budget_nanousd(0);
  CHECK(with.run("budget --fleet '$0'").err.find("nothing that asks a model will run") !=
        std::string::npos);
  told.mutable_fleet()->set_budget_nanousd(1);
  CHECK(with.run("budget --fleet '$0.000000001'")
            .err.find("the fleet's budget is $0.000000001 a day, "
                      "less than is spent and held, $2.00") != std::string::npos);
  for (const auto* wrong : {"budget '$10'", "budget --fleet run_1 '$10'", "budget a b c",
                            "budget run_1 ''", "budget run_1 '$10/week'", "budget --tokens 50M",
                            "budget run_1 --requests ''", "budget run_1 --tokens '$5'"}) {
    CAPTURE(wrong);
    CHECK(with.run(wrong).code == 2);
  }
}

TEST_CASE("budget tells and sets what may be taken of tokens and requests") {
  fixture with;
  auto& told = with.control.budgets;
  auto& tokens = *told.mutable_fleet()->mutable_tokens();
  tokens.set_budget(1'000'000'000);
  tokens.set_per_day(true);
  tokens.set_spent(1'234'567);
  tokens.set_held(2'000'000);
  tokens.set_spent_in_all(5'000'000);
  tokens.set_unreconciled(3'000);
  auto& run = *told.add_runs();
  run.set_id("run_1");
  run.set_budget_nanousd(5'000'000'000);
  run.mutable_requests()->set_budget(2'000);
  run.mutable_requests()->set_spent(20);
  run.mutable_requests()->set_unbounded_attempts(1);
  CHECK(
      with.run("budget --all").out ==
      "WHOSE                  BUDGET          SPENT    HELD     LEFT\n"
      "fleet                  -               $0.00    $0.00    -\n"
      "  tokens, today (UTC)  1000000000/day  1234567  2000000  996765433\n"
      "run_1                  $5.00           $0.00    $0.00    $5.00\n"
      "  requests             2000            20       0        1980\n"
      "in all days the fleet has taken 5000000 tokens\n"
      "3000 tokens of what is spent are whole slices of attempts whose workers went away; a worker "
      "that comes back tells what they really cost\n"
      "1 attempt of run_1, which is under way, holds nothing of its request budget: what it takes "
      "counts when it ends\n");
  CHECK(with.run("budget run_1 --tokens 50M --requests 2000").code == 0);
  const auto& set = with.control.budgeted;
  CHECK(set.target() == "run_1");
  CHECK(set.keeps_money());
  CHECK(set.tokens().most() == 50'000'000);
  CHECK(set.requests().most() == 2'000);
  CHECK(with.run("budget run_1 '$10' --tokens none").code == 0);
  CHECK_FALSE(set.keeps_money());
  CHECK(set.budget_nanousd() == 10'000'000'000);
  CHECK(set.has_tokens());
  CHECK_FALSE(set.tokens().has_most());
  CHECK_FALSE(set.has_requests());
  CHECK(with.run("budget --fleet --requests 10k/day").code == 0);
  CHECK(set.requests().per_day());
  CHECK(set.target().empty());
}

TEST_CASE("only lineages that would go on now are said to, and of others what keeps them") {
  fixture with;
  auto& told = with.control.budgets;
  const auto pause = [&](const char* id, const char* still, bool waits = false) {
    auto& one = *told.add_paused();
    one.set_lineage_id(id);
    one.set_still(still);
    one.set_waits(waits);
  };
  const auto has = [](const auto& done, const char* part) {
    return done.err.find(part) != std::string::npos;
  };
  pause("lin_1", "the lineage's budget of 3 requests is spent");
  const auto none = with.run("budget run_1 '$10'");
  CHECK(has(none, "germline: lin_1 is paused, and would be again: the lineage's budget of 3 "));
  CHECK_FALSE(has(none, "gone on with"));
  pause("lin_2", "");
  pause("lin_3", "the next day, 00:00 UTC: it is spent", true);
  const auto some = with.run("budget run_1 '$10'");
  CHECK(has(some, "gone on with by `germline resume`: lin_2\n"));
  CHECK(has(some, "lin_3 is paused, and resumed would wait for the next day, 00:00 UTC: it is"));
  CHECK(with.run("budget run_1").err.empty());
}

TEST_CASE("a coordinator that knows of money alone is asked for nothing else") {
  fixture with;
  with.control.knows_counts = false;
  auto& set = with.control.budgeted;
  for (const auto* asked : {"budget run_1 --tokens 50M", "budget run_1 '$10' --requests none",
                            "budget --fleet --requests 10k/day"}) {
    CAPTURE(asked);
    const auto refused = with.run(asked);
    CHECK(refused.code == 5);
    CHECK(refused.err.find("which knows no budgets of tokens and requests") != std::string::npos);
    CHECK_FALSE(set.keeps_money());
    CHECK(set.target().empty());
  }
  CHECK(with.run("budget run_1 '$10'").code == 0);
  CHECK(set.budget_nanousd() == 10'000'000'000);
  const std::string asked = "run " + with.place.at("") + " --model m --budget '$5'";
  const auto refused = with.run(asked + " --token-budget 50M");
  CHECK(refused.code == 5);
  CHECK(refused.err.find("which knows no budgets of tokens and requests") != std::string::npos);
  CHECK(with.control.created.repository().empty());
  CHECK(with.run(asked).code == 0);
  with.control.knows_counts = true;
  CHECK(with.run(asked + " --token-budget 50M").code == 0);
  CHECK(with.control.created.budget_tokens() == 50'000'000);
}

TEST_CASE("scale says what was added, what leaves, and what was killed with which proof") {
  fixture with;
  const auto more = with.run("scale run_1 64 --why 'more of it'");
  CHECK(more.code == 0);
  CHECK(more.out == "lin_2 added\n");
  CHECK(more.err.empty());
  CHECK(with.control.scaled.run() == "run_1");
  CHECK(with.control.scaled.lineages() == 64);
  CHECK(with.control.scaled.why() == "more of it");
  CHECK_FALSE(with.control.scaled.kill());
  CHECK(with.run("scale run_1 0").out == "lin_1 drains: it retires when its live iteration ends\n");
  const auto killed = with.run("scale run_1 0 --kill");
  CHECK(killed.code == 0);
  CHECK(killed.out == "LINEAGE  PROOF   TOOK\nlin_1    killed  42ms\n");
  CHECK(with.control.scaled.kill());
  const auto same = with.run("scale run_1 1");
  CHECK(same.code == 0);
  CHECK(same.out.empty());
  CHECK(same.err == "germline: the run has as many lineages already\n");
  const auto json = with.run("scale run_1 1 --json");
  CHECK(json.err.empty());
  CHECK(nlohmann::json::parse(json.out) ==
        nlohmann::json::parse(R"({"added": [], "leaving": [], "killed": []})"));
  CHECK(with.run("scale nope 1").code == 3);
}

TEST_CASE("6: what is scaled down by a kill without proof is told as by `kill`") {
  fixture with;
  with.control.without_proof = true;
  const auto killed = with.run("scale run_1 0 --kill");
  CHECK(killed.code == 6);
  CHECK(killed.out.find("no proof  42ms") != std::string::npos);
  CHECK(killed.err.find("lin_1 is killed, and there is no proof") != std::string::npos);
  CHECK(killed.err.find("germline kill lin_1\n") != std::string::npos);
  const auto json = with.run("scale run_1 0 --kill --json");
  CHECK(json.code == 6);
  CHECK(nlohmann::json::parse(json.out)["killed"][0]["proof"] == "KILL_PROOF_NONE");
}

TEST_CASE("a strategy is passed on as it was said, the flag over the file") {
  fixture with;
  std::ofstream(with.place.at("run.toml"))
      << "schema = 1\n[run]\nrepository = \".\"\nstrategy = \"random\"\n";
  const auto file = "run --file " + with.place.at("run.toml");
  CHECK(with.run("run " + with.place.at("")).code == 0);
  CHECK(with.control.created.strategy().empty());
  CHECK(with.run(file).code == 0);
  CHECK(with.control.created.strategy() == "random");
  CHECK(with.run(file + " --strategy archive-sampling,form=median").code == 0);
  CHECK(with.control.created.strategy() == "archive-sampling,form=median");
  const auto wrong = with.run(file + " --strategy best,,");
  CHECK(wrong.code == 2);
  CHECK(wrong.err ==
        "germline: 'best,,' is no strategy: write its name, and options behind it as KEY=VALUE, "
        "each after a comma, such as best or archive-sampling,form=median\n");
}

TEST_CASE("several models are passed on, the flags over the file") {
  fixture with;
  std::ofstream(with.place.at("run.toml"))
      << "schema = 1\n[run]\nrepository = \".\"\n[model]\nnames = [\"a\", \"b\"]\nchoice = "
         "\"thompson\"\nbudget = "
         "\"$1\"\n";
  const auto file = "run --file " + with.place.at("run.toml");
  CHECK(with.run(file).code == 0);
  CHECK(with.control.created.model() == "a");
  CHECK(with.control.created.models_size() == 2);
  CHECK(with.control.created.model_choice() == "thompson");
  CHECK(with.run(file + " --model c --model d --model e --choose-model ucb1").code == 0);
  CHECK(with.control.created.model() == "c");
  REQUIRE(with.control.created.models_size() == 3);
  CHECK(with.control.created.models(2) == "e");
  CHECK(with.control.created.model_choice() == "ucb1");
  CHECK(with.run(file + " --model c").code == 0);
  CHECK(with.control.created.model() == "c");
  CHECK(with.control.created.models_size() == 0);
  const auto twice = with.run(file + " --model c --model c");
  CHECK(twice.code == 2);
  CHECK(twice.err.find("the model c is named twice") != std::string::npos);
}

TEST_CASE("share and inspirations are passed on, the flags over the file") {
  fixture with;
  std::ofstream(with.place.at("run.toml"))
      << "schema = 1\n[run]\nrepository = \".\"\npriority = -3\nweight = 5\ninspirations = 2\n";
  const auto file = "run --file " + with.place.at("run.toml");
  CHECK(with.run(file).code == 0);
  CHECK(with.control.created.priority() == -3);
  CHECK(with.control.created.weight() == 5);
  CHECK(with.control.created.inspirations() == 2);
  CHECK(with.run(file + " --priority 4 --weight 1 --inspirations 0").code == 0);
  CHECK(with.control.created.priority() == 4);
  CHECK(with.control.created.weight() == 1);
  CHECK(with.control.created.inspirations() == 0);
}

TEST_CASE("rollback, fork and retire say what became of it") {
  fixture with;
  CHECK(with.run("rollback lin_1 --to gen_2 --why slow").out ==
        "lin_1 rolled back to generation 0 gen_2; paused\n");
  CHECK(with.control.rolled.lineage() == "lin_1");
  CHECK(with.control.rolled.to() == "gen_2");
  CHECK(with.control.rolled.why() == "slow");
  CHECK(with.run("fork gen_2").out == "lin_2\n");
  CHECK_FALSE(with.control.forked.has_max_iterations());
  CHECK(with.run("fork gen_2 --iterations 0 --json").out.find("\"lineage_id\": \"lin_2\"") !=
        std::string::npos);
  CHECK(with.control.forked.has_max_iterations());
  CHECK(with.run("fork gen_2 --iterations -1").code == 2);
  CHECK(with.run("fork").code == 2);
  CHECK(with.run("retire lin_1 --why 'a better one'").out == "lin_1 retired: a better one\n");
}

TEST_CASE(
    "a run says which tags it requires, and a wrong one is refused before anything is asked") {
  fixture with;
  CHECK(with.run("run " + with.place.at("") + " --require zone=a --require gpu").code == 0);
  CHECK(with.control.created.required_tags_size() == 2);
  CHECK(with.control.created.required_tags(0) == "gpu");
  for (const std::string words : {"run . --require GPU", "worker --tag 'a b'", "up --tag ''"}) {
    CAPTURE(words);
    const auto refused = with.run(words);
    CHECK(refused.code == 2);
    CHECK(refused.err.find("tag") != std::string::npos);
  }
}

TEST_CASE("kill of what is not there, of nothing, and of no name") {
  fixture with;
  const auto unknown = with.run("kill nope --json");
  CHECK(unknown.code == 3);
  CHECK(nlohmann::json::parse(unknown.out) ==
        nlohmann::json{{"error", {{"code", "not_found"}, {"message", "there is no 'nope'"}}}});
  CHECK(unknown.err == "germline: there is no 'nope'\n");
  CHECK(nlohmann::json::parse(with.run("tree nope --json").out)["error"]["code"] == "not_found");
  // What was killed is told, and what was not.
  const auto both = with.run("kill lin_1 nope --json");
  CHECK(both.code == 3);
  const auto value = nlohmann::json::parse(both.out);
  CHECK(value["lineages"].size() == 1);
  CHECK(value["errors"][0]["code"] == "not_found");
  with.control.nothing_to_kill = true;
  const auto none = with.run("kill --all");
  CHECK(none.code == 0);
  CHECK(none.out.empty());
  CHECK(none.err == "germline: nothing was running\n");
  const auto unnamed = with.run("kill $(true)");
  CHECK(unnamed.code == 2);
  CHECK(unnamed.err.find("no run or lineage was named") != std::string::npos);
  CHECK(unnamed.err.find("--all") != std::string::npos);
}

TEST_CASE("promote says what is wrong with a repository before anything is fetched") {
  fixture with;
  with.control.head = "gen_1";
  fs::create_directory(with.place.at("none"));
  const auto none = with.run("promote lin_1 --repository " + with.place.at("none"));
  CHECK(none.code == 3);
  CHECK(none.err.find("none is no git repository; name the one to deliver to") !=
        std::string::npos);
  const auto git = with.place.at(".git");
  std::ofstream(git + "/config", std::ios::app) << "[core]\nrepositoryformatversion = 99\n";
  const auto strange = with.run("promote lin_1 --repository " + with.place.at(""));
  CHECK(strange.code == 5);
  CHECK(strange.err.find("cannot be used as a git repository") != std::string::npos);
  const auto other = with.place.at("other");
  const auto made = "git init -q " + other + " && chmod a-w " + other + "/.git/refs/heads" +
                    // Root delivers as the owner.
                    (::geteuid() == 0 ? " && chown -R 65534 " + other : "");
  REQUIRE(std::system(made.c_str()) == 0);  // NOLINT(concurrency-mt-unsafe)
  fs::permissions(with.place.at(""), fs::perms::group_exec | fs::perms::others_exec,
                  fs::perm_options::add);
  const auto closed = with.run("promote lin_1 --repository " + other);
  CAPTURE(closed.err);
  CHECK(closed.code == 5);
  CHECK(closed.err.find("this account may not write to " + other + "/.git/refs/heads") !=
        std::string::npos);
}

TEST_CASE("a resume of what is done names the way on") {
  fixture with;
  with.control.head = "gen_1";
  const auto done = with.run("resume lin_1");
  CHECK(done.code == 5);
  CHECK(done.err.find("all 3 iterations are done. To go on from its newest generation:\n"
                      "  germline fork gen_1\n") != std::string::npos);
  CHECK(done.err.find("\n  germline promote gen_1 && germline run '/srv/it'\\''s mine' --branch "
                      "germline/gen_1 --iterations 3 --folder a/b --model m --budget '$2.00' "
                      "--require gpu\n") != std::string::npos);
  CHECK(with.run("resume lin_1 --json").out.find("germline fork gen_1") != std::string::npos);
  with.control.strategy = "best";
  CHECK(
      with.run("resume lin_1")
          .err.find(" --strategy best --inspirations 2 --priority -1 --weight 3 --require gpu\n") !=
      std::string::npos);
  // Whatever else it was paused for.
  with.control.pause_reason = v1::PAUSE_REASON_POLICY;
  CHECK(with.run("resume lin_1").err.find("To go on") != std::string::npos);
  with.control.iterations_done = 2;
  CHECK(with.run("resume lin_1").err.find("To go on") == std::string::npos);
}

}  // namespace germline::cli
