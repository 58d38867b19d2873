// Attempts whose sandboxes do as the test says: how they end where a sandbox fails.
#include "worker/node/iteration.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>

#include "common/artefact/tar.hpp"
#include "common/hash.hpp"
#include "worker/node/sandbox_validator.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

constexpr const char* genome_toml = R"(schema = 1
[genome]
name = "tiny"
[agent]
build = "true"
artefact = ["agent"]
run = "agent"
result = "push"
model = "none"
)";

/// What becomes of a process: it says something on stderr, and in its report, and ends.
struct fate {
  process_outcome outcome;
  std::string says;
  std::string reports = {};
};
/// By the command line.
using script = std::function<result<fate>(const std::string& words)>;

class scripted_sandbox final : public sandbox {
 public:
  explicit scripted_sandbox(const script& how) : how_(how) {}

  result<process_handle> start(process_spec spec) override {
    std::string words;
    for (const auto& word : spec.argv) words += (words.empty() ? "" : " ") + word;
    GERMLINE_TRY_ASSIGN(const auto told, how_(words));
    if (spec.stderr_fd) {
      REQUIRE(::write(spec.stderr_fd.get(), told.says.data(), told.says.size()) ==
              static_cast<ssize_t>(told.says.size()));
    }
    if (spec.report_fd) {
      REQUIRE(::write(spec.report_fd.get(), told.reports.data(), told.reports.size()) ==
              static_cast<ssize_t>(told.reports.size()));
    }
    outcomes_[++last_] = told.outcome;
    return process_handle{last_};
  }
  result<process_outcome> wait(process_handle process, std::int64_t) override {
    return outcomes_.at(process.id);
  }
  result<void> signal(process_handle, int) override { return {}; }
  result<sandbox_usage> read_usage() override { return sandbox_usage(); }
  result<void> renew(std::int64_t) override { return {}; }
  result<kill_report> kill() override { return kill_report{true, 0}; }
  result<void> destroy() override { return {}; }
  unique_fd take_gateway_listener() override { return {}; }

 private:
  const script& how_;
  std::uint32_t last_ = 0;
  std::map<std::uint32_t, process_outcome> outcomes_;
};

class scripted_backend final : public sandbox_backend {
 public:
  result<std::unique_ptr<sandbox>> prepare(const sandbox_policy& policy) override {
    prepared.push_back(policy.spec());
    return std::unique_ptr<sandbox>(std::make_unique<scripted_sandbox>(how));
  }
  result<void> recover() override { return {}; }
  script how;
  std::vector<sandbox_policy_spec> prepared;
};

/// A gateway that tells of an attempt what the test says.
class telling_models final : public model_access {
 public:
  result<void> open(const model_grant& grant, unique_fd) override {
    opened.push_back(grant);
    return {};
  }
  result<void> renew(const std::string&, std::int64_t) override { return {}; }
  result<model_account> close(const std::string&) override {
    if (is_gone) return error(error_code::unavailable, "the gateway is gone");
    model_account account;
    account.usage.set_requests(2);
    account.usage.set_cost_nanousd(7);
    account.usage.set_output_tokens(output_tokens);
    account.obstacle = obstacle;
    return account;
  }

  std::vector<model_grant> opened;
  model_obstacle obstacle;
  int output_tokens = 0;
  bool is_gone = false;
};

class giving_transport final : public transport {
 public:
  result<void> fetch(const fetch_wish& wish, arrival& so_far, transfer_watch& watch) override {
    std::string all = "PACK";
    if (wish.kind == content_kind::artefact) {
      all.clear();
      GERMLINE_TRY(artefact::write_tar({{"agent", true, "#!/bin/sh\n"}},
                                       [&](std::string_view bytes) -> result<void> {
                                         all += bytes;
                                         return {};
                                       }));
    }
    so_far.sha256 = sha256_hex(all);
    so_far.size_bytes = static_cast<std::int64_t>(all.size());
    watch.moved_bytes += so_far.size_bytes;
    return so_far.bytes.append(all);
  }
  result<std::int64_t> put_offset(const put_parcel&, transfer_watch&) override { return 0; }
  result<std::string> put(const put_parcel&, std::int64_t, transfer_watch&) override {
    return std::string();
  }
};

struct fixture {
  fixture() {
    char name[] = "/tmp/germline-iteration-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    dir = name;
    auto opened = artefact::artefact_store::open(dir);
    REQUIRE(opened);
    store.emplace(std::move(*opened));
    cache.emplace(*store, 1 << 30);
    judge.emplace(*cache, "/programs");
    context.backend = &backend;
    context.bulk = &bulk;
    context.judge = &*judge;
    context.time = &time;
    context.artefacts = &*cache;
    auto packs = object_cache::open(dir + "/objects", 1 << 30);
    REQUIRE(packs);
    objects.emplace(std::move(*packs));
    context.objects = &*objects;
    context.disk = &disk;
    context.programs_dir = "/programs";
    lease.set_attempt_id("att_1");
    lease.set_kind(v1::WORK_KIND_ITERATE);
    lease.set_genome_toml(genome_toml);
    lease.set_parent_commit(std::string(40, '1'));
    lease.set_seed_commit(std::string(40, '1'));
    lease.set_parent_artefact_id(
        artefact::artefact_id(*store->seal_files({{"agent", true, "#!/bin/sh\n"}})));
  }
  ~fixture() { std::filesystem::remove_all(dir); }

  attempt_end run() {
    return make_iteration(context, lease, 60'000, [](const v1::AttemptProgress&) {})->run();
  }
  /// Runs it where `git` with these words ends so; all else does well.
  attempt_end run_where(const std::string& words, const result<fate>& how) {
    backend.how = [=](const std::string& line) -> result<fate> {
      if (line.find(words) != std::string::npos) return how;
      return fate();
    };
    return run();
  }
  static std::string lost_because(const attempt_end& end) {
    const auto* gone = std::get_if<v1::AttemptCleaned>(&end);
    return gone == nullptr ? "it was not lost" : gone->why();
  }

  manual_clock time;
  std::string dir;
  std::optional<artefact::artefact_store> store;
  std::optional<artefact_cache> cache;
  std::optional<object_cache> objects;
  storage disk{"/tmp", 0, [] {}};
  std::optional<sandbox_validator> judge;
  scripted_backend backend;
  giving_transport bulk;
  iteration_context context;
  v1::Lease lease;
};

fate exited(int code, const std::string& says) {
  fate how;
  how.outcome.code = code;
  how.says = says;
  return how;
}

fate ended(outcome_kind kind) {
  fate how;
  how.outcome.kind = kind;
  return how;
}

}  // namespace

TEST_CASE_FIXTURE(fixture,
                  "a sandbox that goes by itself before the push was read loses the attempt") {
  const std::string says = "reading what the agent pushed";
  const auto refused =
      run_where("rev-parse", error(error_code::unavailable, "the sandbox's supervisor is gone"));
  CHECK(lost_because(refused).find(says) != std::string::npos);
  CHECK(lost_because(refused).find("supervisor is gone") != std::string::npos);
  const auto under_it = run_where("rev-parse", ended(outcome_kind::killed));
  CHECK(lost_because(under_it).find(says) != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "without a gateway no attempt can be made, which is said of all") {
  std::string with_model = genome_toml;
  with_model.replace(with_model.find("\"none\""), 6, "\"anthropic\"");
  lease.set_genome_toml(with_model);
  lease.set_model("a-model");
  backend.how = [](const std::string&) -> result<fate> { return fate(); };
  const auto end = run();
  CHECK(lost_because(end).find("ANTHROPIC_API_KEY") != std::string::npos);
  REQUIRE(std::holds_alternative<v1::AttemptCleaned>(end));
  CHECK(std::get<v1::AttemptCleaned>(end).lasting());
  backend.how = [](const std::string&) -> result<fate> {
    return error(error_code::unavailable, "the sandbox was ended");
  };
  const auto other = run();
  REQUIRE(std::holds_alternative<v1::AttemptCleaned>(other));
  CHECK_FALSE(std::get<v1::AttemptCleaned>(other).lasting());
}

namespace {

/// An evaluation whose candidate has a model, and whose evaluator has held-out files.
struct modelled : fixture {
  modelled() {
    lease.set_kind(v1::WORK_KIND_EVALUATE);
    lease.set_genome_toml(std::string(genome_toml) +
                          "[fitness]\ncommand = \"judge\"\nmodel = \"openai\"\n");
    lease.set_model("a-model");
    lease.mutable_limits()->set_budget_nanousd(9);
    lease.set_held_out_id(lease.parent_artefact_id());
    context.models = &models;
    backend.how = [](const std::string&) -> result<fate> { return fate(); };
  }
  telling_models models;
};

bool has_mount(const sandbox_policy_spec& spec, const std::string& target) {
  return std::ranges::any_of(spec.mounts, [&](const auto& each) { return each.target == target; });
}

}  // namespace

TEST_CASE_FIXTURE(modelled, "the candidate alone has a model, the evaluator what is held out") {
  const auto end = run();
  REQUIRE_MESSAGE(std::holds_alternative<v1::AttemptResult>(end), lost_because(end));
  REQUIRE(backend.prepared.size() == 2);
  const auto& evaluator = backend.prepared[0];
  const auto& candidate = backend.prepared[1];
  CHECK(evaluator.gateway_port == 0);
  CHECK(candidate.gateway_port == gateway_port);
  CHECK(has_mount(evaluator, "/germline/held-out"));
  CHECK_FALSE(has_mount(candidate, "/germline/held-out"));
  CHECK(has_mount(candidate, "/germline/artefact"));
  REQUIRE(models.opened.size() == 1);
  CHECK(models.opened[0].model == "a-model");
  CHECK(models.opened[0].limits.budget_nanousd() == 9);
  CHECK(models.opened[0].token.size() > 32);
  CHECK(std::get<v1::AttemptResult>(end).usage().cost_nanousd() == 7);
}

TEST_CASE_FIXTURE(modelled,
                  "a spent bound is told, and what was measured without a provider lost") {
  models.obstacle = {obstacle_kind::budget, "the budget is gone"};
  const auto judged = run();
  REQUIRE_MESSAGE(std::holds_alternative<v1::AttemptResult>(judged), lost_because(judged));
  CHECK(std::get<v1::AttemptResult>(judged).reason() == "score");
  CHECK(std::get<v1::AttemptResult>(judged).details().find(
            "a request to the model was refused: the budget is gone") != std::string::npos);

  models.obstacle = {obstacle_kind::upstream, "HTTP 529"};
  const auto lost = run();
  CHECK(lost_because(lost) == "the model gave no answer that could be used: HTTP 529");
  CHECK(std::get<v1::AttemptCleaned>(lost).usage().cost_nanousd() == 7);
  CHECK_FALSE(std::get<v1::AttemptCleaned>(lost).lasting());
  CHECK(std::get<v1::AttemptCleaned>(lost).no_provider());

  models.is_gone = true;
  const auto unknown = run();
  CHECK(lost_because(unknown).find("what the attempt used is not known") == 0);
  CHECK_FALSE(std::get<v1::AttemptCleaned>(unknown).has_usage());
  CHECK_FALSE(std::get<v1::AttemptCleaned>(unknown).no_provider());
}

TEST_CASE_FIXTURE(modelled, "a score stays though one request failed, not if none was answered") {
  backend.how = [](const std::string&) -> result<fate> {
    fate all_well;
    all_well.reports = R"({"score": 3})";
    return all_well;
  };
  models.obstacle = {obstacle_kind::upstream, "HTTP 500"};
  const auto away = run();
  CHECK(lost_because(away) == "the model gave no answer that could be used: HTTP 500");
  CHECK(std::get<v1::AttemptCleaned>(away).no_provider());
  models.output_tokens = 1;
  const auto measured = run();
  REQUIRE_MESSAGE(std::holds_alternative<v1::AttemptResult>(measured), lost_because(measured));
  CHECK(std::get<v1::AttemptResult>(measured).score().score() == 3);
}

TEST_CASE_FIXTURE(modelled, "without a gateway no candidate that needs a model is measured") {
  context.models = nullptr;
  const auto end = run();
  CHECK(lost_because(end).find("no gateway to ask a model") != std::string::npos);
  CHECK(std::get<v1::AttemptCleaned>(end).lasting());
}

TEST_CASE("an agent that goes by itself after it was kept from the model ends by that reason") {
  const model_obstacle spent{obstacle_kind::budget, "the budget is gone"};
  const model_obstacle silent{obstacle_kind::upstream, "HTTP 529"};
  process_outcome outcome;
  outcome.code = 3;
  const auto why = [&](const model_obstacle& obstacle) {
    return explain_agent(outcome, obstacle, "its last words");
  };
  CHECK(why({}).reason == "crash");
  CHECK(why(silent).reason == "upstream");
  const model_obstacle foreign{obstacle_kind::dialect, "the upstream does not speak 'responses'"};
  CHECK(why(foreign).reason == "dialect");
  CHECK(why(foreign).details.starts_with("the model was not asked: the upstream does not speak"));
  CHECK(why(spent).reason == "budget");
  CHECK(why(spent).details ==
        "a request to the model was refused: the budget is gone\nthe agent ended with exit code 3\n"
        "its last words");
  const auto differs =
      explain_agent(outcome, {obstacle_kind::difference, "request 2 differs: x"}, "its last words");
  CHECK(differs.reason == "difference");
  CHECK(differs.details ==
        "the model was asked something else than was recorded: request 2 differs: x\n"
        "the agent ended with exit code 3\nits last words");
  // What it ran into besides comes first.
  outcome.kind = outcome_kind::out_of_memory;
  CHECK(why(spent).reason == "memory");
  outcome.kind = outcome_kind::timed_out;
  CHECK(why(silent).reason == "time");
}

TEST_CASE_FIXTURE(fixture, "a commit that does not fit into a sandbox is rejected") {
  lease.set_kind(v1::WORK_KIND_FOUND);
  for (const auto& how :
       {exited(128, "fatal: cannot create directory at 'x': No space left on device"),
        exited(128, "error: unable to write file x\nfatal: unable to checkout working tree"),
        exited(128, "fatal: Out of memory, malloc failed"), ended(outcome_kind::out_of_memory)}) {
    const auto end = run_where("git -c advice.detachedHead=false clone", how);
    const auto* judged = std::get_if<v1::AttemptResult>(&end);
    REQUIRE_MESSAGE(judged != nullptr, lost_because(end));
    CHECK(judged->ending() == v1::ENDING_REJECTED);
    CHECK(judged->reason() == "objects");
    CHECK(judged->details().find("does not fit into a sandbox") != std::string::npos);
    CHECK(judged->details().find(how.says) != std::string::npos);
  }
  // What has other causes is the worker's own failure.
  const auto end = run_where("clone", exited(128, "fatal: transport 'file' not allowed"));
  CHECK(lost_because(end).find("not allowed") != std::string::npos);
}

TEST_CASE_FIXTURE(fixture, "validation that a sandbox ends under is late, or the machine's fault") {
  lease.set_kind(v1::WORK_KIND_FOUND);
  lease.mutable_limits()->set_wall_time_ms(10'000);
  lease.set_genome_toml(std::string(genome_toml) +
                        "[test]\ncommand = \"own-tests\"\nreport = \"junit.xml\"\n");
  const error gone(error_code::unavailable, "the sandbox was ended");
  for (const std::string step : {"sh -c true", "tar ", "own-tests", "cat "}) {
    CAPTURE(step);
    std::int64_t passing_ms = 0;
    backend.how = [&](const std::string& line) -> result<fate> {
      if (line.find(step) == std::string::npos) return fate();
      time.advance(passing_ms);
      return gone;
    };
    CHECK(lost_because(run()).find("sandbox was ended") != std::string::npos);
    passing_ms = 10'000;
    const auto end = run();
    const auto* judged = std::get_if<v1::AttemptResult>(&end);
    REQUIRE_MESSAGE(judged != nullptr, lost_because(end));
    CHECK(judged->ending() == v1::ENDING_REJECTED);
    CHECK(judged->reason() == "time");
  }
}

TEST_CASE_FIXTURE(fixture, "an artefact that cannot be read is refused with what kept it") {
  lease.set_kind(v1::WORK_KIND_FOUND);
  const auto end = run_where("tar ", exited(2, "tar: agent: Cannot stat: Input/output error"));
  const auto* judged = std::get_if<v1::AttemptResult>(&end);
  REQUIRE_MESSAGE(judged != nullptr, lost_because(end));
  CHECK(judged->reason() == "build");
  CHECK(judged->details().find("exit code 2") != std::string::npos);
  CHECK(judged->details().find("Cannot stat: Input/output error") != std::string::npos);
  const auto missing =
      run_where("tar ", exited(2, "tar: agent: Cannot stat: No such file or directory"));
  REQUIRE(std::holds_alternative<v1::AttemptResult>(missing));
  CHECK(std::get<v1::AttemptResult>(missing).details() ==
        "the build left no 'agent', which `artefact` in genome.toml lists");
}
