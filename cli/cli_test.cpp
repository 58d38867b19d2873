// The real binary, as a child, against a coordinator that answers as it is told.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/binary_fixture.hpp"
#include "germline/v1/control.grpc.pb.h"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;
using testing::folder;
using testing::germline;
using testing::outcome;
using testing::slurp;

class fake_control final : public v1::Control::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::GetStatusReply* reply) override {
    reply->set_coordinator_id("crd_1");
    return grpc::Status::OK;
  }
  grpc::Status PutSeed(grpc::ServerContext*, grpc::ServerReader<v1::SeedChunk>* stream,
                       v1::PutSeedReply* reply) override {
    v1::SeedChunk chunk;
    const std::lock_guard lock(mutex);
    while (stream->Read(&chunk)) seed += chunk.data();
    reply->set_seed_id("seed_1");
    return grpc::Status::OK;
  }
  grpc::Status CreateRun(grpc::ServerContext*, const v1::CreateRunRequest* request,
                         v1::CreateRunReply* reply) override {
    const std::lock_guard lock(mutex);
    created = *request;
    reply->set_run_id("run_1");
    reply->add_lineage_ids("lin_1");
    return grpc::Status::OK;
  }
  grpc::Status ListRuns(grpc::ServerContext*, const v1::ListRunsRequest*,
                        v1::ListRunsReply* reply) override {
    fill(*reply->add_runs());
    return grpc::Status::OK;
  }
  grpc::Status GetTree(grpc::ServerContext*, const v1::GetTreeRequest* request,
                       v1::GetTreeReply* reply) override {
    if (request->target() == "nope") return {grpc::StatusCode::NOT_FOUND, "nothing is called nope"};
    fill(*reply->mutable_run());
    return grpc::Status::OK;
  }
  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::WatchEvent>* writer) override {
    v1::WatchEvent event;
    if (request->target() == "breaks") {
      // Each stream tells all from the start; the first two break, one of them at the server's end.
      const int stream = streams++;
      for (int step = 0; step <= stream; ++step) {
        event.set_time_ms(9'000 - step);  // of another lineage, whose clock is behind
        event.mutable_progress()->set_step("step" + std::to_string(step));
        writer->Write(event);
      }
      if (stream == 0) return {grpc::StatusCode::UNAVAILABLE, "the coordinator is ending"};
      if (stream == 1) return {grpc::StatusCode::CANCELLED, ""};
      return grpc::Status::OK;
    }
    event.set_time_ms(1'000);
    event.mutable_progress()->set_step("steal\x1b[2J");
    writer->Write(event);
    // A stream that nobody ends: the client must see by itself that the run is over.
    while (request->follow() && !context->IsCancelled()) ::usleep(10'000);
    return grpc::Status::OK;
  }
  grpc::Status Kill(grpc::ServerContext*, const v1::KillRequest* request,
                    v1::KillReply* reply) override {
    const std::lock_guard lock(mutex);
    killed = *request;
    if (request->target() == "nope") return {grpc::StatusCode::NOT_FOUND, "there is no 'nope'"};
    if (nothing_to_kill) return grpc::Status::OK;
    auto& one = *reply->add_lineages();
    one.set_lineage_id("lin_1");
    one.set_proof(v1::KILL_PROOF_KILLED);
    one.set_took_ms(42);
    if (!without_proof) return grpc::Status::OK;
    one.set_proof(v1::KILL_PROOF_NONE);
    auto& left = *one.add_remaining();
    left.set_attempt_id("att_1");
    left.set_worker_id("wrk_1");
    left.set_connected(true);
    left.set_last_named_ms(1);
    return grpc::Status::OK;
  }
  grpc::Status Pause(grpc::ServerContext*, const v1::LineageRequest*, v1::LineageReply*) override {
    return {grpc::StatusCode::FAILED_PRECONDITION, "lin_1 is killed, which is final"};
  }

  grpc::Status Rollback(grpc::ServerContext*, const v1::RollbackRequest* request,
                        v1::RollbackReply* reply) override {
    const std::lock_guard lock(mutex);
    rolled = *request;
    reply->mutable_lineage()->set_lineage_id("lin_1");
    reply->mutable_lineage()->set_state(v1::LINEAGE_STATE_PAUSED);
    reply->mutable_generation()->set_generation_id("gen_2");
    return grpc::Status::OK;
  }
  grpc::Status Fork(grpc::ServerContext*, const v1::ForkRequest* request,
                    v1::LineageReply* reply) override {
    const std::lock_guard lock(mutex);
    forked = *request;
    reply->mutable_lineage()->set_lineage_id("lin_2");
    return grpc::Status::OK;
  }
  grpc::Status Retire(grpc::ServerContext*, const v1::LineageRequest* request,
                      v1::LineageReply* reply) override {
    reply->mutable_lineage()->set_lineage_id(request->lineage());
    reply->mutable_lineage()->set_state(v1::LINEAGE_STATE_RETIRED);
    reply->mutable_lineage()->set_pause_details(request->why());
    return grpc::Status::OK;
  }

  grpc::Status Resume(grpc::ServerContext*, const v1::LineageRequest*, v1::LineageReply*) override {
    return {grpc::StatusCode::FAILED_PRECONDITION, "lin_1: all 3 iterations are done"};
  }
  grpc::Status Show(grpc::ServerContext*, const v1::ShowRequest*, v1::ShowReply* reply) override {
    fill(*reply->mutable_run());
    return grpc::Status::OK;
  }

  void fill(v1::RunInfo& run) {
    const std::lock_guard lock(mutex);
    run.set_run_id("run_1");
    run.set_name("na\x1bme");
    run.set_found_state(found_state);
    run.set_found_details("the build is red");
    auto& lineage = *run.add_lineages();
    lineage.set_lineage_id("lin_1");
    lineage.set_state(v1::LINEAGE_STATE_PAUSED);
    lineage.set_pause_reason(pause_reason);
    lineage.set_head_generation(head);
    if (pause_reason != v1::PAUSE_REASON_DONE) lineage.set_pause_details("not a cent is left");
  }

  std::mutex mutex;  // the handlers' threads; the test's own, before and after each run
  std::string seed;
  v1::CreateRunRequest created;
  v1::KillRequest killed;
  v1::RollbackRequest rolled;
  v1::ForkRequest forked;
  std::string found_state = "founded";
  std::string head;
  bool nothing_to_kill = false;
  v1::PauseReason pause_reason = v1::PAUSE_REASON_DONE;
  std::atomic<int> streams{0};
  bool without_proof = false;
};

struct fixture {
  folder place;
  fake_control control;
  std::unique_ptr<grpc::Server> server;

  fixture() {
    const auto git = "git -C " + place.at("") + " -c user.name=u -c user.email=u@e ";
    // What the tests themselves put there is ignored.
    const auto repository = git + "init -q -b main && " + git + "commit -q --allow-empty -m seed" +
                            " && echo '/[a-z]*' > " + place.at(".git/info/exclude");
    REQUIRE(std::system(repository.c_str()) == 0);  // NOLINT(concurrency-mt-unsafe)
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + place.at("s"), grpc::InsecureServerCredentials());
    builder.RegisterService(&control);
    server = builder.BuildAndStart();
    REQUIRE(server);
  }
  ~fixture() { server->Shutdown(std::chrono::system_clock::time_point()); }
  outcome run(const std::string& arguments) {
    { const std::lock_guard lock(control.mutex); }
    auto done = germline(place, arguments + " --coordinator unix:" + place.at("s"));
    const std::lock_guard lock(control.mutex);
    return done;
  }
};

}  // namespace

TEST_CASE("0: what is asked for is on standard output, and JSON is one value") {
  fixture with;
  const auto ps = with.run("ps");
  CHECK(ps.code == 0);
  CHECK(ps.out.find("lin_1") != std::string::npos);
  CHECK(ps.out.find("na\\x1bme") != std::string::npos);
  CHECK(ps.err.empty());
  const auto json = with.run("ps --json");
  CHECK(json.code == 0);
  const auto value = nlohmann::json::parse(json.out);
  CHECK(value["runs"][0]["name"] == "na\x1bme");
  // Done a moment ago: shown to people, and nothing for a script to act upon.
  CHECK(with.run("ps -q").out.empty());
  CHECK(with.run("ps -q --all").out == "lin_1\n");
  with.control.pause_reason = v1::PAUSE_REASON_PERSON;
  CHECK(with.run("ps -q").out == "lin_1\n");
  with.control.pause_reason = v1::PAUSE_REASON_DONE;
  CHECK(with.run("tree").out.find("  done, depth") != std::string::npos);
}

TEST_CASE("2: usage, before anything is asked of a coordinator") {
  folder place;
  for (const char* arguments : {"",
                                "bogus",
                                "ps --bogus",
                                "kill",
                                "kill lin_1 --all",
                                "show",
                                "run . --model m",
                                "run . --model m --budget five",
                                "run . --lineages 0",
                                "diff a b c",
                                "run . --iterations -1",
                                "run . --iterations 0x10",
                                "run . --iterations 1e3",
                                "run . --iterations 99999999999999999999",
                                "run . --lineages 65",
                                "run . --random-seed -1",
                                "run . --folder /",
                                "run . --folder ../agents",
                                "run . --branch ''",
                                "run . --branch=",
                                "run ''",
                                "run . --goal ''",
                                "run . --goal $(head -c 9000 /dev/zero | tr '\\0' g)",
                                "run . --name $(head -c 300 /dev/zero | tr '\\0' n)",
                                "tree ''",
                                "diff '' gen_1",
                                "kill lin_1 ''",
                                "kill lin_1 --why ''",
                                "pause ''",
                                "promote gen_1 --branch ''",
                                "init ''",
                                "up --state-dir ''",
                                "ps --coordinator ''",
                                "up --slots 0x2",
                                "up --slots 5000000000",
                                "run . --goal \"$(printf 'caf\\351')\"",
                                "show \"$(printf '\\377')\""}) {
    CAPTURE(arguments);
    const auto result = germline(place, arguments);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(!result.err.empty());
    CHECK(result.err.find("libprotobuf") == std::string::npos);
    // One form for all, but where no command at all was given.
    CHECK((std::string_view(arguments).empty() || result.err.starts_with("germline: ")));
    CHECK((std::string_view(arguments).empty() ||
           std::count(result.err.begin(), result.err.end(), '\n') == 1));
  }
  CHECK(germline(place, "run . --iterations -1").err.find("from 0 to 1000000000") !=
        std::string::npos);
  CHECK(
      germline(place, "run . --branch ''").err.find("--branch: is empty; give a value, or leave") !=
      std::string::npos);
  CHECK(germline(place, "run . --folder /").err.find("'/' is no folder inside the repository") !=
        std::string::npos);
  CHECK(germline(place, "run . --bogus").err.find("`germline run --help`") != std::string::npos);
  std::ofstream(place.at("run.toml")) << "schema = 1\n[run]\nlinages = 1\n";
  const auto file = germline(place, "run --file " + place.at("run.toml"));
  CHECK(file.code == 2);
  CHECK(file.err.find("`run.lineages`") != std::string::npos);
}

TEST_CASE("3: not found") {
  fixture with;
  const auto result = with.run("tree nope");
  CHECK(result.code == 3);
  CHECK(result.err == "germline: nothing is called nope\n");
  CHECK(with.run("run " + with.place.at("") + " --branch missing").code == 2);
  CHECK(with.run("run " + with.place.at("nowhere")).code == 3);
}

TEST_CASE("4: unreachable, and what to do") {
  folder place;
  const auto result = germline(place, "ps --coordinator unix:" + place.at("none"));
  CHECK(result.code == 4);
  CHECK(result.out.empty());
  CHECK(result.err == "germline: no coordinator can be reached at unix:" + place.at("none") +
                          "; start one with `germline up`, or say where it is with --coordinator"
                          " or GERMLINE_COORDINATOR\n");
}

TEST_CASE("5: refused") {
  fixture with;
  const auto result = with.run("pause lin_1");
  CHECK(result.code == 5);
  CHECK(result.err == "germline: lin_1 is killed, which is final\n");
}

TEST_CASE("5: a socket that this account may not use is told apart from none") {
  fixture with;
  fs::permissions(with.place.at("s"), fs::perms::none);
  // Root may use any: then as nobody, by descriptor since the build's folder may be closed.
  const std::string nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
  const std::string prefix = ::geteuid() == 0 ? nobody : "";
  fs::permissions(with.place.at(""), fs::perms::owner_all | fs::perms::others_exec);
  const auto told = [&](const std::string& arguments) {
    const auto command = "exec 9<" GERMLINE_BINARY "; env -i HOME=/ PATH=\"$PATH\" " + prefix +
                         "/proc/self/fd/9 " + arguments +
                         " --coordinator unix:" + with.place.at("s") + " >" + with.place.at("out") +
                         " 2>" + with.place.at("err");
    const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
    return outcome{WEXITSTATUS(status), slurp(with.place.at("out")), slurp(with.place.at("err"))};
  };
  const auto ps = told("ps");
  CHECK(ps.code == 5);
  CHECK(ps.err.find("sudo") != std::string::npos);
  CHECK(ps.err.find("germline up") == std::string::npos);
  CHECK(told("doctor").out.find("this account may not use") != std::string::npos);
}

TEST_CASE("5: an address that is taken is told in one line") {
  folder place;
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  REQUIRE(::bind(taken, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(taken, 1) == 0);
  REQUIRE(::getsockname(taken, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  const auto address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  const auto start = "coordinator --state-dir " + place.at("state") + " --listen ";
  const auto refused = germline(place, start + address);
  ::close(taken);
  CHECK(refused.code == 5);
  CHECK(refused.err == "germline: cannot listen on " + address + ": Address already in use\n");
  CHECK(germline(place, start + "127.0.0.1:99999").code == 2);
  CHECK(germline(place, start + "unix:" + place.at("no/s")).code == 5);
}

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

TEST_CASE("on a terminal settings, checks and errors fit its width") {
  const folder place;
  const auto deep = place.at("a-folder-with-a-long-name/and-another-one/and-a-third-one/socket");
  for (const auto& words :
       {"config show --origin", "doctor", "ps", "--help", "up --help", "run --help",
        "promote --help", "pause --help", "kill --help", "rollback --help"}) {
    CAPTURE(words);
    const auto command = "export GERMLINE_COORDINATOR=unix:" + deep + "; stty cols 80 rows 24; " +
                         GERMLINE_BINARY + " " + words;
    std::ofstream(place.at("script.sh")) << command << "\n";
    std::system(("script -qec 'sh " + place.at("script.sh") + "' /dev/null >" + place.at("out") +
                 " </dev/null")
                    .c_str());  // NOLINT(concurrency-mt-unsafe)
    std::istringstream lines(slurp(place.at("out")));
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      std::string shown;  // without colours
      for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\x1b')
          i = line.find('m', i);
        else if (line[i] != '\r')
          shown += line[i];
      }
      CAPTURE(shown);
      CHECK(shown.size() <= 80);
    }
    CHECK(count >= 2);
  }
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

TEST_CASE("init makes a repository whose first commit is the genome") {
  folder place;
  const auto made = germline(place, "init " + place.at("g") + " --from two-second");
  CHECK(made.code == 0);
  CHECK(fs::is_regular_file(place.at("g/genome.toml")));
  CHECK(std::system(("git -C " + place.at("g") + " diff --quiet main").c_str()) == 0);
  CHECK(germline(place, "init " + place.at("g")).code == 5);
  CHECK(germline(place, "init " + place.at("h") + " --from nothing").code == 3);
}

TEST_CASE("config shows where each value comes from") {
  folder place;
  fs::create_directories(place.at(".config/germline"));
  std::ofstream(place.at(".config/germline/config.toml")) << "schema = 1\n[worker]\nslots = 3\n";
  const auto shown = germline(place, "config show --json");
  CHECK(shown.code == 0);
  const auto value = nlohmann::json::parse(shown.out);
  CHECK(value["worker.slots"]["value"] == "3");
  CHECK(value["coordinator"]["origin"] == "default");
  for (const char* key : {"share_dir", "libexec_dir"}) {
    CHECK(fs::is_directory(value[key]["value"].get<std::string>()));
    CHECK(value[key]["origin"].get<std::string>().starts_with("default: "));
  }
}

TEST_CASE("doctor's JSON says whether this machine is able") {
  folder place;
  const auto result = germline(place, "doctor --json --coordinator unix:" + place.at("none"));
  const auto value = nlohmann::json::parse(result.out);
  CHECK(result.code == (value["able"].get<bool>() ? 0 : 1));
  CHECK(!value["checks"].empty());
}

TEST_CASE("doctor names the helper programs that are missing") {
  const folder place;
  const auto helpers = [&](const std::string& libexec) {
    const auto told = germline(place, "doctor --json --coordinator unix:" + place.at("none"),
                               "GERMLINE_LIBEXEC=" + libexec);
    const auto value = nlohmann::json::parse(told.out);
    for (const auto& one : value["checks"]) {
      if (one["name"] != "helper programs") continue;
      CHECK((one["ok"].get<bool>() || told.code == 1));
      return one["ok"].get<bool>() ? "ok" : one["detail"].get<std::string>();
    }
    return std::string("no such check");
  };
  CHECK(helpers(fs::path(GERMLINE_BINARY).parent_path().string()) == "ok");
  fs::create_directories(place.at("bin"));
  for (const char* name : {"germline-zygote", "germline-init", "germline-as-candidate",
                           "germline-gateway", "germline-importer"}) {
    std::ofstream(place.at("bin/") + name) << "#!/bin/sh\n";
    fs::permissions(place.at("bin/") + name, fs::perms::owner_all);
  }
  CHECK(helpers(place.at("bin")) == "in " + place.at("bin") + ": germline-stand-in is missing");
  fs::permissions(place.at("bin/germline-init"), fs::perms::owner_read);
  CHECK(helpers(place.at("bin")) == "in " + place.at("bin") +
                                        ": germline-init cannot be executed, "
                                        "germline-stand-in is missing");
}

TEST_CASE("an unknown command is told with the nearest one; help is a command too") {
  const folder place;
  const auto typo = germline(place, "kil");
  CHECK(typo.code == 2);
  CHECK(typo.err.find("unknown command 'kil'; did you mean 'kill'?") != std::string::npos);
  CHECK(germline(place, "help").out == germline(place, "--help").out);
  CHECK(germline(place, "help kill").out == germline(place, "kill --help").out);
  CHECK(germline(place, "help kil").code == 2);
}

TEST_CASE("an unknown flag is told with the nearest one, and a word too many as it is") {
  const folder place;
  CHECK(germline(place, "up --slot 3").err ==
        "germline: unknown flag '--slot'; did you mean '--slots'? (see `germline up --help`)\n");
  CHECK(germline(place, "config show --origins")
            .err.find("did you mean '--origin'? (see "
                      "`germline config show --help`)") != std::string::npos);
  CHECK(germline(place, "tree a b").err ==
        "germline: 'b' is one word too many (see `germline tree --help`)\n");
  const auto diff = germline(place, "diff --help").out;
  CHECK(diff.find("(1x)") == std::string::npos);
  CHECK(diff.find("iterations") != std::string::npos);
}

TEST_CASE("a resume of what is done names the way on") {
  fixture with;
  with.control.head = "gen_1";
  const auto done = with.run("resume lin_1");
  CHECK(done.code == 5);
  CHECK(done.err.find("all 3 iterations are done. To go on from its newest generation: germline "
                      "fork gen_1 --iterations N; or") != std::string::npos);
  CHECK(done.err.find("germline promote gen_1 --branch NAME") != std::string::npos);
  with.control.pause_reason = v1::PAUSE_REASON_PERSON;
  CHECK(with.run("resume lin_1").err.find("To go on") == std::string::npos);
}

TEST_CASE("what cannot be written is no success") {
  const folder place;
  for (const std::string words : {"--help", "config show", "config show --json"}) {
    CAPTURE(words);
    CHECK(germline(place, words).code == 0);
    const auto command = "env -i HOME=" + place.at("") + " " GERMLINE_BINARY " " + words +
                         " >/dev/full 2>" + place.at("err");
    const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
    CHECK(WEXITSTATUS(status) == 1);
    CHECK(slurp(place.at("err")).find("No space left on device") != std::string::npos);
  }
  // What is said on standard error after the failure does not change what it was.
  const fixture with;
  const std::string binary = GERMLINE_BINARY;
  const auto command = "env -i HOME=" + with.place.at("") + " PATH=\"$PATH\" " + binary + " run " +
                       with.place.at("") + " --coordinator unix:" + with.place.at("s") +
                       " >/dev/full 2>" + place.at("err");
  const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(slurp(place.at("err"))
            .ends_with("lineage lin_1\ngermline: writing standard output: No "
                       "space left on device\n"));
}

}  // namespace germline::cli
