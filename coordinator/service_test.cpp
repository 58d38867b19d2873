#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

TEST_CASE_FIXTURE(fixture, "a seed is founded, evolves, is rejected, and the branch follows") {
  struct stat socket {};
  REQUIRE(::stat((dir + "/socket").c_str(), &socket) == 0);
  CHECK((socket.st_mode & 0777) == 0600);
  create(2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  auto lease = worker.lease();
  CHECK(lease.kind() == v1::WORK_KIND_ITERATE);
  CHECK(lease.number() == 1);
  CHECK(lease.protected_tests_size() == 1);
  CHECK(lease.genome_toml() == genome_toml);
  CHECK(!lease.parent_artefact_id().empty());
  const auto born = evolve(worker, lease);
  wait_branch(born);
  lease = worker.lease();
  CHECK(lease.parent_commit() == born);
  CHECK(lease.number() == 2);
  std::string pack;
  const auto context = make_commit(worker, lease, pack);
  REQUIRE(worker.put_objects(lease, pack).ok());
  CHECK(worker.report(lease, v1::ENDING_REJECTED, context, "").accepted());
  const auto now = wait_tree(
      [](const auto& t) { return t.run().lineages(0).pause_reason() == v1::PAUSE_REASON_DONE; });
  CHECK(now.generations_size() == 2);
  CHECK(now.run().lineages(0).depth() == 1);
  CHECK(now.run().lineages(0).head_commit() == context);
  wait_branch(context);
  CHECK(worker.expect(v1::CoordinatorMessage::kLease, 300) == std::nullopt);
}

TEST_CASE_FIXTURE(fixture, "of several runs of one name all are listed, with their states") {
  create();
  const auto first = created;
  create();
  kill(first.run_id());
  grpc::ClientContext context;
  v1::ShowRequest request;
  request.set_target(tree().run().name());
  v1::ShowReply reply;
  const auto refused = people->Show(&context, request, &reply);
  CHECK(refused.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  const auto& told = refused.error_message();
  CAPTURE(told);
  const auto older = told.find("\n  " + first.run_id() + " 20");
  const auto newer = told.find("\n  " + created.run_id() + " 20");
  REQUIRE(newer != std::string::npos);
  CHECK(older > newer);
  CHECK(told.find("Z killed", older) != std::string::npos);
  CHECK(told.find("Z founding", newer) < older);
}

TEST_CASE_FIXTURE(fixture, "a name that is said in full is not a beginning of ids") {
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  request.set_lineages(1);
  request.set_name("l");  // as lin_… begins
  REQUIRE(try_create(request).ok());
  grpc::ClientContext context;
  v1::ShowRequest named;
  named.set_target("l");
  v1::ShowReply reply;
  const auto shown = people->Show(&context, named, &reply);
  REQUIRE_MESSAGE(shown.ok(), shown.error_message());
  CHECK(reply.run().run_id() == created.run_id());
}

TEST_CASE_FIXTURE(fixture, "a run stands for its only lineage; of several one must be named") {
  create(2);
  const auto pause = [&](const std::string& target) {
    grpc::ClientContext context;
    v1::LineageRequest request;
    request.set_lineage(target);
    v1::LineageReply reply;
    return people->Pause(&context, request, &reply);
  };
  CHECK(pause(created.run_id()).ok());
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  request.set_lineages(2);
  REQUIRE(try_create(request).ok());
  const auto refused = pause(created.run_id());
  CHECK(refused.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  for (const auto& lineage : created.lineage_ids()) {
    CHECK(refused.error_message().find(lineage) != std::string::npos);
  }
}

TEST_CASE_FIXTURE(fixture, "a generation is taken home with what its history lacks there") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto fetch = [&](const std::string& generation, const std::string& have) {
    grpc::ClientContext context;
    v1::FetchGenerationRequest request;
    request.set_generation(generation);
    request.add_have(have);
    const auto stream = people->FetchGeneration(&context, request);
    std::string pack;
    v1::PackChunk piece;
    while (stream->Read(&piece)) pack += piece.data();
    return std::pair(stream->Finish().error_code(), pack);
  };
  const auto seed = wait_tree([](const auto& t) { return t.generations_size() == 1; });
  const auto& born = seed.generations(0);
  const auto [whole, all] = fetch(born.generation_id(), std::string(40, '1'));  // knows it not
  CHECK(whole == grpc::StatusCode::OK);
  auto other = git::repository::init_bare(dir + "/other.git");
  REQUIRE(other);
  CHECK(other->deliver(born.commit(), all, "first"));
  const auto [there, nothing] = fetch(born.generation_id(), born.commit());
  CHECK(there == grpc::StatusCode::OK);
  CHECK(nothing.empty());
  CHECK(fetch(created.run_id(), born.commit()).first == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(fetch("gen_nope", born.commit()).first == grpc::StatusCode::NOT_FOUND);
}

TEST_CASE_FIXTURE(fixture, "an evolved result without its objects or artefact is no birth") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  std::string pack;
  const auto commit = make_commit(worker, lease, pack);
  CHECK(worker.report(lease, v1::ENDING_EVOLVED, commit, std::string(64, '0')).accepted());
  const auto now = wait_tree(
      [](const auto& t) { return t.iterations_size() == 2 && t.iterations(1).ending() != 0; });
  CHECK(now.iterations(1).ending() == v1::ENDING_REJECTED);
  CHECK(now.iterations(1).reason() == "objects");
  CHECK(now.generations_size() == 1);
  wait_branch(now.iterations(1).commit());  // the reason is in the context for the next one
}

TEST_CASE_FIXTURE(fixture, "a seed that was put founds a run, whatever the coordinator may read") {
  const auto seed = git::repository::export_seed(dir + "/user", "");
  REQUIRE(seed);
  v1::PutSeedReply put;
  for (int i = 0; i < 2; ++i) {  // by two people, before either asks for a run
    grpc::ClientContext context;
    const auto stream = people->PutSeed(&context, &put);
    v1::SeedChunk chunk;
    for (std::size_t at = 0; at < seed->pack.size(); at += 64) {
      chunk.set_data(seed->pack.substr(at, 64));
      REQUIRE(stream->Write(chunk));
    }
    stream->WritesDone();
    REQUIRE(stream->Finish().ok());
  }
  v1::CreateRunRequest request;
  request.set_repository("/closed/to/others");
  request.set_branch("main");
  request.set_seed_id(put.seed_id());
  const auto create_run = [&] {
    grpc::ClientContext context;
    return people->CreateRun(&context, request, &created);
  };
  request.set_seed_commit(std::string(40, '1'));  // not in the pack
  CHECK(create_run().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  request.set_seed_commit(seed->commit);
  REQUIRE(create_run().ok());
  scripted_worker worker(service->address(), "w1");
  const auto lease = worker.lease();
  CHECK(lease.seed_commit() == seed->commit);
  CHECK_FALSE(worker.fetch_objects(seed->commit).empty());
  CHECK(create_run().ok());
  CHECK(create_run().error_code() == grpc::StatusCode::FAILED_PRECONDITION);  // both were taken
  request.set_seed_id("../../etc/passwd");
  CHECK(create_run().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_CASE_FIXTURE(fixture, "an unbuildable seed refuses the run") {
  create();
  scripted_worker worker(service->address(), "w1");
  const auto lease = worker.lease();
  CHECK(worker.report(lease, v1::ENDING_REJECTED, "", "").accepted());
  const auto now = wait_tree(
      [](const auto& t) { return t.run().lineages(0).state() == v1::LINEAGE_STATE_RETIRED; });
  CHECK(now.run().found_state() == "refused");
}

TEST_CASE_FIXTURE(fixture, "kill returns with proof, and a late result is refused") {
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  SUBCASE("the worker cleans up") {
    v1::KillReply reply;
    std::thread killer([&] { reply = kill(created.run_id()); });
    const auto order = worker.expect(v1::CoordinatorMessage::kKill);
    REQUIRE(order);
    CHECK(order->kill().attempt_id() == lease.attempt_id());
    worker.cleaned(lease.attempt_id());
    killer.join();
    REQUIRE(reply.lineages_size() == 1);
    CHECK(reply.lineages(0).proof() == v1::KILL_PROOF_KILLED);
  }
  SUBCASE("the worker is out of reach") {
    worker.leave();
    const auto reply = kill(lineage_id());
    REQUIRE(reply.lineages_size() == 1);
    CHECK(reply.lineages(0).proof() == v1::KILL_PROOF_LEASE_EXPIRED);
    CHECK(reply.lineages(0).took_ms() <= 1'800 + 1'000);
  }
  scripted_worker again(service->address(), "w1", {lease.attempt_id()});
  const auto welcome = again.expect(v1::CoordinatorMessage::kWelcome);
  REQUIRE(welcome);
  REQUIRE(welcome->welcome().forget_attempts_size() == 1);
  CHECK_FALSE(again.report(lease, v1::ENDING_STALLED, "", "").accepted());
  CHECK(tree().run().lineages(0).state() == v1::LINEAGE_STATE_KILLED);
  const auto once_more = kill(created.run_id());
  REQUIRE(once_more.lineages_size() == 1);
  CHECK(once_more.lineages(0).proof() == v1::KILL_PROOF_NOTHING_RAN);
  std::string id;
  CHECK_FALSE(again.put_objects(lease, "PACK").ok());
}

TEST_CASE_FIXTURE(fixture, "a kill without proof says so, and what it waits for") {
  kill_wait_ms = 1'000;
  restart();
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  const auto asked_ms = time.utc_ms();
  v1::KillReply reply;
  std::thread killer([&] { reply = kill(created.run_id()); });
  REQUIRE(worker.expect(v1::CoordinatorMessage::kKill));
  worker.beat({lease.attempt_id()});
  CHECK(worker.expect(v1::CoordinatorMessage::kKill));  // it is asked again, and never cleans up
  killer.join();
  REQUIRE(reply.lineages_size() == 1);
  CHECK(reply.lineages(0).proof() == v1::KILL_PROOF_NONE);
  CHECK(reply.lineages(0).took_ms() >= 1'000);
  REQUIRE(reply.lineages(0).remaining_size() == 1);
  const auto& remaining = reply.lineages(0).remaining(0);
  CHECK(remaining.attempt_id() == lease.attempt_id());
  CHECK(remaining.worker_id() == "w1");
  CHECK(remaining.connected());
  CHECK(remaining.last_named_ms() >= asked_ms);
  // Fenced all the same.
  std::string id;
  CHECK_FALSE(worker.put_objects(lease, "PACK").ok());
  CHECK(tree().run().lineages(0).state() == v1::LINEAGE_STATE_KILLED);
  // "All" is what there is still something to kill of.
  worker.beat({lease.attempt_id()});
  std::thread again([&] { reply = kill("all"); });
  REQUIRE(worker.expect(v1::CoordinatorMessage::kKill));
  REQUIRE(worker.expect(v1::CoordinatorMessage::kKill));
  worker.cleaned(lease.attempt_id());
  again.join();
  REQUIRE(reply.lineages_size() == 1);
  CHECK(reply.lineages(0).proof() == v1::KILL_PROOF_KILLED);
  CHECK(kill("all").lineages_size() == 0);
}

TEST_CASE_FIXTURE(fixture,
                  "what only a person can mend pauses the lineage, and goes on when resumed") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  v1::WorkerMessage message;
  message.mutable_cleaned()->set_attempt_id(lease.attempt_id());
  message.mutable_cleaned()->set_why("no gateway is here");
  message.mutable_cleaned()->set_lasting(true);
  std::string said;
  SUBCASE("of a gateway") {
    message.mutable_cleaned()->set_by_gateway(true);
    said = "worker w1: no gateway is here; once that is mended: `germline resume " + lineage_id() +
           "`";
  }
  SUBCASE("of a worker") {
    message.mutable_cleaned()->set_why("no mirror; start it with one, then germline resume");
    said = "worker w1: no mirror; start it with one, then `germline resume " + lineage_id() + "`";
  }
  worker.send(message);
  const auto paused = wait_tree(
      [](const auto& t) { return t.run().lineages(0).state() == v1::LINEAGE_STATE_PAUSED; });
  CHECK(paused.run().lineages(0).pause_reason() ==
        (message.cleaned().by_gateway() ? v1::PAUSE_REASON_GATEWAY : v1::PAUSE_REASON_WORKER));
  CHECK(paused.run().lineages(0).pause_details() == said);
  CHECK(paused.iterations(1).attempts_size() == 1);
  v1::LineageRequest request;
  request.set_lineage(lineage_id());
  v1::LineageReply reply;
  grpc::ClientContext context;
  REQUIRE(people->Resume(&context, request, &reply).ok());
  const auto again = worker.lease();
  CHECK(again.item_id() == lease.item_id());
  CHECK(again.fence() > lease.fence());
}

TEST_CASE_FIXTURE(fixture, "a kill of everything leaves what is done as it is") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  evolve(worker, worker.lease());
  const auto is_done = [](const auto& t) {
    return t.run().lineages(0).pause_reason() == v1::PAUSE_REASON_DONE;
  };
  wait_tree(is_done);
  CHECK(kill("all").lineages_size() == 0);
  CHECK(is_done(tree()));
  CHECK(kill(lineage_id()).lineages_size() == 1);  // asked for by its id it is
  CHECK(tree().run().lineages(0).state() == v1::LINEAGE_STATE_KILLED);
}

TEST_CASE_FIXTURE(fixture, "a lost attempt is leased again, and its late result refused") {
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = worker.lease();
  const auto second = worker.lease();  // no heartbeat named the first
  CHECK(second.item_id() == first.item_id());
  CHECK(second.fence() == first.fence() + 1);
  CHECK_FALSE(worker.report(first, v1::ENDING_STALLED, "", "").accepted());
  evolve(worker, second);
  CHECK(tree().generations_size() == 2);
}

TEST_CASE_FIXTURE(fixture, "the pack of an attempt that is over goes, that of a leased one stays") {
  create();
  std::optional<v1::Lease> lost, killed;  // the latter in one of the subcases
  std::string pack, commit;
  {
    scripted_worker worker(service->address(), "w1");
    found(worker);
    lost = worker.lease();
    REQUIRE(worker.put_objects(*lost, "PACK of a lost one").ok());
    CHECK(waits(*lost));
    worker.cleaned(lost->attempt_id(), "the machine went down");
    killed = worker.lease();
    commit = make_commit(worker, *killed, pack);
    REQUIRE(worker.put_objects(*killed, pack).ok());
  }
  restart();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // what is done at start is done
  CHECK_FALSE(waits(*lost));
  CHECK(waits(*killed));
  scripted_worker worker(service->address(), "w1", {killed->attempt_id()});
  REQUIRE(worker.expect(v1::CoordinatorMessage::kWelcome));
  SUBCASE("its result comes again, and is taken") {
    CHECK(worker.report(*killed, v1::ENDING_REJECTED, commit, "").accepted());
    CHECK_FALSE(waits(*killed));
  }
  SUBCASE("it is killed") {
    worker.leave();
    kill(created.run_id());
    wait_gone(*killed);
  }
}

TEST_CASE_FIXTURE(fixture, "an artefact that no generation got goes, once no result can come") {
  create();
  std::string fresh, stale;
  {
    scripted_worker worker(service->address(), "w1");
    found(worker);
    const auto lease = worker.lease();
    stale = worker.put_artefact(lease, "of an attempt that is killed");
    fresh = worker.put_artefact(lease, "whose result may come");
  }
  namespace fs = std::filesystem;
  const auto place = [&](const std::string& id) { return dir + "/state/artefacts/" + id; };
  const auto born = wait_tree([](const auto& t) { return t.generations_size() == 1; });
  const auto kept = born.generations(0).artefact_id();
  for (const auto& id : {stale, kept}) {
    fs::last_write_time(place(id), fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  restart();
  for (int i = 0; i < 100 && fs::exists(place(stale)); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK_FALSE(fs::exists(place(stale)));
  CHECK(fs::exists(place(fresh)));
  CHECK(fs::exists(place(kept)));
}

TEST_CASE_FIXTURE(fixture, "the diff of a rejected iteration shows what its agent changed") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  std::string unused;
  const auto raw = make_commit(worker, lease, unused);
  auto repo = git::repository::open(dir + "/worker.git");
  REQUIRE(repo);
  const auto tree_id = repo->replace_file(lease.parent_commit(), "agent_context.json", "{}");
  REQUIRE(tree_id);
  const auto context = repo->write_commit(
      {*tree_id, {lease.parent_commit()}, "worker", "w@e", "context\n", 1'700'000'000});
  REQUIRE(context);
  const auto pack = repo->make_pack({raw, *context}, {lease.parent_commit()});
  REQUIRE(pack);
  REQUIRE(worker.put_objects(lease, *pack).ok());
  REQUIRE(worker.report(lease, v1::ENDING_REJECTED, *context, "", raw).accepted());
  wait_branch(*context);
  grpc::ClientContext call;
  v1::DiffRequest request;
  request.set_to(lease.item_id());
  v1::DiffReply reply;
  REQUIRE(people->Diff(&call, request, &reply).ok());
  CHECK(reply.patch().find("+# " + lease.attempt_id()) != std::string::npos);
  auto kept = git::repository::open(dir + "/state/objects.git");
  REQUIRE(kept);
  const auto ref = kept->resolve("refs/germline/attempts/" + lease.attempt_id() + "/raw");
  REQUIRE(ref);
  CHECK(*ref == raw);
}

TEST_CASE_FIXTURE(fixture, "an iteration whose attempts are all lost tells the next generation") {
  SUBCASE("without a context") {}
  SUBCASE("with one whose indentation would be 60 times its bytes") {
    std::string ones = "1";
    for (int i = 1; i < 500'000; ++i) ones += ",1";
    std::ofstream(dir + "/user/agent_context.json")
        << R"({"goalState":"g","history":[],"x":)" << std::string(60, '[') << ones
        << std::string(60, ']') << "}";
    shell("cd " + dir + "/user && git add -A && git -c user.name=u -c user.email=u@e commit -qm c");
  }
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  std::string seed;
  for (int i = 0; i < 3; ++i) {
    const auto lease = worker.lease();
    seed = lease.parent_commit();
    worker.cleaned(lease.attempt_id(), "the disk was full");
  }
  const auto next = worker.lease();
  const auto ended =
      wait_tree([](const auto& t) { return t.iterations_size() == 3; }).iterations(1);
  CHECK(ended.ending() == v1::ENDING_FAILED);
  CHECK(ended.reason() == "attempts_lost");
  CHECK(ended.details().find("the disk was full") != std::string::npos);
  REQUIRE(ended.attempts_size() == 3);
  CHECK(ended.attempts(2).details() == "the disk was full");
  CHECK(next.parent_commit() == ended.commit());
  CHECK(next.number() == 1);
  auto repo = git::repository::open(dir + "/state/objects.git");
  REQUIRE(repo);
  const auto context = repo->read_file_at(ended.commit(), "agent_context.json", 2 << 20);
  REQUIRE(context);
  CHECK(context->find("the disk was full") != std::string::npos);
  CHECK(repo->read_commit(ended.commit())->parents == std::vector{seed});
  wait_branch(ended.commit());
}

TEST_CASE_FIXTURE(fixture, "after a restart of the coordinator a running attempt goes on") {
  create();
  std::optional<v1::Lease> lease;
  {
    scripted_worker worker(service->address(), "w1");
    found(worker);
    lease = worker.lease();
  }
  restart();
  scripted_worker worker(service->address(), "w1", {lease->attempt_id(), "att_gone"});
  const auto welcome = worker.expect(v1::CoordinatorMessage::kWelcome);
  REQUIRE(welcome);
  REQUIRE(welcome->welcome().forget_attempts_size() == 1);
  CHECK(welcome->welcome().forget_attempts(0) == "att_gone");
  worker.beat({lease->attempt_id()});
  REQUIRE(worker.expect(v1::CoordinatorMessage::kHeartbeatReply));
  const auto born = evolve(worker, *lease);
  wait_branch(born);
  CHECK(tree().iterations(1).attempts_size() == 1);
  const auto next = worker.lease();
  CHECK(next.parent_commit() == born);
}

TEST_CASE_FIXTURE(fixture, "a damaged branch is mended; one that was pushed to has diverged") {
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  auto lease = worker.lease();
  const auto born = evolve(worker, lease);
  wait_branch(born);
  lease = worker.lease();
  const std::string git = "git --git-dir=" + dir + "/state/objects.git ";
  const std::string ref = "refs/heads/lineages/" + lineage_id();
  SUBCASE("deleted") {
    shell(git + "update-ref -d " + ref);
    wait_branch(born);
  }
  SUBCASE("damaged, at start") {
    worker.leave();
    service.reset();
    std::ofstream(dir + "/state/objects.git/" + ref) << "garbage\n";
    start();
    wait_branch(born);
  }
  SUBCASE("set back") {
    shell(git + "update-ref " + ref + " " + born + "^");
    wait_branch(born);
  }
  SUBCASE("pushed to from outside") {
    shell("cd " + dir + " && git clone -q -b lineages/" + lineage_id() +
          " state/objects.git mine && cd mine && git -c user.name=u -c user.email=u@e commit -q"
          " --allow-empty -m mine && git push -q origin HEAD");
    const auto pushed = branch();
    CHECK(pushed != born);
    const auto now = wait_tree([](const auto& t) {
      return t.run().lineages(0).pause_reason() == v1::PAUSE_REASON_DIVERGED;
    });
    CHECK(branch() == pushed);
  }
}

TEST_CASE_FIXTURE(fixture, "bad input gets a clear error and changes nothing") {
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  const auto refused = [&](const std::string& says) {
    const auto status = try_create(request);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK_MESSAGE(status.error_message().find(says) != std::string::npos, status.error_message());
  };
  SUBCASE("a model without a budget") {
    request.set_model("m");
    refused("--budget");
  }
  SUBCASE("a goal that may not fit into task.json") {
    request.set_goal(std::string(9'000, '"'));
    refused("the goal has 9000 bytes; at most 8192");
  }
  SUBCASE("a folder outside the repository") {
    request.set_folder("/");
    refused("'/' is no folder inside the repository");
  }
  SUBCASE("a missing branch") {
    request.set_branch("nowhere");
    refused("nowhere");
  }
  SUBCASE("no genome.toml") {
    request.set_folder("sub");
    refused("sub/genome.toml");
  }
  SUBCASE("an unknown key") {
    std::ofstream(dir + "/user/genome.toml", std::ios::app) << "bogus = 1\n";
    shell("cd " + dir + "/user && git -c user.name=u -c user.email=u@e commit -qam bad");
    refused("bogus");
  }
  SUBCASE("an empty repository") {
    shell("git init -q -b main " + dir + "/empty");
    request.set_repository(dir + "/empty");
    refused("");
  }
  SUBCASE("a context that is no JSON") {
    std::ofstream(dir + "/user/agent_context.json") << "{";
    shell("cd " + dir + "/user && git add -A && git -c user.name=u -c user.email=u@e commit -qm c");
    refused("agent_context.json");
  }
  const auto commit_with = [&](const std::string& toml, const std::string& command) {
    std::ofstream(dir + "/user/genome.toml", std::ios::app) << toml;
    shell("cd " + dir + "/user && " + command +
          " && git add -A && git -c user.name=u -c user.email=u@e commit -qm more");
  };
  const std::string protect = "[protect]\npaths = [\"guard/**\"]\ntests = \"guard/run\"\n";
  SUBCASE("protected tests that are not there") {
    commit_with(protect, "true");
    refused("guard/run, which `tests` in [protect] of genome.toml names, is not in the commit");
  }
  SUBCASE("protected tests that are not executable") {
    commit_with(protect, "mkdir guard && touch guard/run && chmod 644 guard/run");
    refused("guard/run, which `tests` in [protect] of genome.toml names, is not executable");
  }
  SUBCASE("protected tests that are a folder") {
    commit_with(protect, "mkdir -p guard/run && touch guard/run/x");
    refused("is not a regular file");
  }
  SUBCASE("an evaluator that is not there") {
    commit_with("[fitness]\ncommand = \"./guard/judge --fast\"\n", "true");
    refused("guard/judge, which `command` in [fitness] of genome.toml names, is not in the commit");
  }
  SUBCASE("a context below a file") {
    commit_with("", "sed -i '/^name/a context = \"memory/c.json\"' genome.toml && touch memory");
    refused("memory is no folder");
  }
  SUBCASE("a context in .git") {
    commit_with("", "sed -i '/^name/a context = \".git/hooks/x\"' genome.toml");
    refused("file systems take it for .git");
  }
  grpc::ClientContext context;
  v1::ListRunsReply runs;
  REQUIRE(people->ListRuns(&context, {}, &runs).ok());
  CHECK(runs.runs_size() == 0);
}

TEST_CASE_FIXTURE(fixture, "a second coordinator and an open address are refused") {
  coordinator_config config;
  config.state_dir = dir + "/state";
  config.listen_address = "unix:" + dir + "/other";
  auto second = coordinator_service::start(config, time, random);
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == error_code::failed_precondition);
  config.state_dir = dir + "/state2";
  config.listen_address = "unix:" + dir + "/socket";
  CHECK(coordinator_service::start(config, time, random).error().code() ==
        error_code::failed_precondition);
  grpc::ClientContext context;
  v1::ListRunsReply runs;
  CHECK(people->ListRuns(&context, {}, &runs).ok());  // the first is still there
  config.listen_address = "0.0.0.0:0";
  CHECK(coordinator_service::start(config, time, random).error().code() ==
        error_code::invalid_argument);
}

TEST_CASE("messages that come as fast as a worker can write them are all taken, whole, in order") {
  fixture f;
  scripted_worker worker(f.service->address(), "w");
  REQUIRE(worker.expect(v1::CoordinatorMessage::kWelcome));
  constexpr std::int64_t count = 50'000;
  constexpr std::int64_t outstanding = 256;  // far below what makes the coordinator end a stream
  std::atomic<std::int64_t> answered{0};
  std::atomic<bool> broken{false};
  std::thread writer([&] {
    v1::WorkerMessage message;
    for (std::int64_t i = 1; i <= count && !broken; ++i) {
      while (i > answered + outstanding && !broken) std::this_thread::yield();
      message.mutable_heartbeat()->set_sent_boot_ms(i);
      // Long enough to be on the heap, where reading and clearing at once do harm.
      message.mutable_heartbeat()->clear_attempts();
      for (int k = 0; k < 8; ++k) {
        message.mutable_heartbeat()->add_attempts("att_00000000000000000000000000000000");
      }
      if (!worker.try_send(message)) broken = true;
    }
  });
  while (answered < count) {
    const auto reply = worker.expect(v1::CoordinatorMessage::kHeartbeatReply, 10'000);
    if (!reply || reply->heartbeat_reply().sent_boot_ms() != answered + 1) break;
    ++answered;
  }
  broken = true;
  if (answered < count) worker.leave();
  writer.join();
  CHECK(answered == count);
}
