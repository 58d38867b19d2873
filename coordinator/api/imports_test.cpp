// Generations of other archives that a run tries first, over the wire.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct importing : measured_fixture {
  importing() : measured_fixture(1) {}

  v1::CreateRunRequest asked(const std::string& strategy = "best") {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_strategy(strategy);
    return request;
  }
  void add(v1::CreateRunRequest& request, const std::string& commit) {
    auto& one = *request.add_imports();
    one.set_commit(commit);
    one.set_generation_id(generation_id::make(time, random).str());
  }
  /// A commit of another archive that the coordinator has: a generation of a run that is over.
  std::string other_archive(scripted_worker& worker) {
    const auto status = try_create(asked());
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    found(worker);
    REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
    const auto commit = evolve(worker, lease_of(worker, v1::WORK_KIND_ITERATE));
    REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 2));
    kill_while_heard(worker, newest_run());
    kept.clear();
    return commit;
  }
  std::string newest_run() {
    grpc::ClientContext context;
    v1::ListRunsReply reply;
    REQUIRE(people->ListRuns(&context, {}, &reply).ok());
    return reply.runs(reply.runs_size() - 1).run_id();
  }
  std::string file_at(const std::string& commit, const std::string& path) {
    auto repo = git::repository::open(dir + "/state/objects.git");
    REQUIRE(repo);
    const auto text = repo->read_file_at(commit, path, 1 << 20);
    REQUIRE_MESSAGE(text, (text ? "" : text.error().message()));
    return *text;
  }

  manual_clock time;
  seeded_random random{5};
};

}  // namespace

TEST_CASE_FIXTURE(importing, "each import takes an agent's place in one iteration from the seed") {
  scripted_worker worker(service->address(), "w1");
  const auto commit = other_archive(worker);
  auto request = asked();
  add(request, commit);
  add(request, commit);
  const auto status = try_create(request);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  found(worker);
  const auto first = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(first.given_origin() == request.imports(0).generation_id());
  // Its source on what the iteration starts from, with that one's context.
  CHECK(file_at(first.given_commit(), "agent") == file_at(commit, "agent"));
  auto repo = git::repository::open(dir + "/state/objects.git");
  REQUIRE(repo);
  CHECK(repo->log(first.given_commit(), 1)->front().parents == std::vector{first.parent_commit()});
  const auto born = evolve(worker, first);

  // The next one starts from the seed as well, though the lineage stands elsewhere now.
  const auto second = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(second.given_origin() == request.imports(1).generation_id());
  CHECK(second.parent_generation() == first.parent_generation());
  CHECK(repo->log(second.given_commit(), 1)->front().parents ==
        std::vector{second.parent_commit()});
  evolve(worker, second);
  // Then what was born is measured, and agents run.
  for (int i = 0; i < 3; ++i) {
    REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1 + i));
  }
  CHECK(lease_of(worker, v1::WORK_KIND_ITERATE).given_commit().empty());

  const auto tree = wait_tree([](const auto& now) { return now.generations_size() == 3; });
  std::map<std::string, std::string> imported;
  for (const auto& each : tree.generations()) imported[each.commit()] = each.imported();
  CHECK(imported.at(born) == request.imports(0).generation_id());
  CHECK(imported.at(second.seed_commit()).empty());
}

TEST_CASE_FIXTURE(importing, "what cannot be imported is refused with why") {
  const auto why = [&](const v1::CreateRunRequest& request) {
    const auto status = try_create(request);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  auto request = asked();
  add(request, std::string(40, 'a'));
  CHECK(why(request).find("is neither here nor in the seed's repository") != std::string::npos);
  request.mutable_imports(0)->set_commit("main");
  CHECK(why(request).find("its commit, 40 hex digits") != std::string::npos);
  request.mutable_imports(0)->set_commit(std::string(40, 'a'));
  request.mutable_imports(0)->set_generation_id("best");
  CHECK(why(request).find("the id of a generation") != std::string::npos);
  auto many = asked();
  for (int i = 0; i < 65; ++i) add(many, std::string(40, 'a'));
  CHECK(why(many).find("at most 64 generations") != std::string::npos);

  scripted_worker worker(service->address(), "w1");
  auto chain = asked("chain");
  add(chain, other_archive(worker));
  CHECK(why(chain).find("chain chooses nothing") != std::string::npos);
}

TEST_CASE_FIXTURE(importing, "more imports than iterations, and another genome.toml, are refused") {
  scripted_worker worker(service->address(), "w1");
  auto request = asked();
  const auto commit = other_archive(worker);
  for (int i = 0; i < 3; ++i) add(request, commit);
  request.set_max_iterations(1);
  request.set_lineages(2);
  CHECK(try_create(request).error_message().find("the run has 2 for 3 imports") !=
        std::string::npos);
  std::ofstream(dir + "/user/genome.toml", std::ios::app) << "# another\n";
  shell("cd " + dir + "/user && git -c user.name=u -c user.email=u@e commit -qam changed");
  request.set_max_iterations(0);
  CHECK(try_create(request).error_message().find("its genome.toml is not the seed's") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(importing, "of a genome in a folder the folder alone is imported") {
  shell("cd " + dir +
        "/user && mkdir -p genomes/a && git mv genome.toml agent genomes/a/ && "
        "echo may > README && git add README && git -c user.name=u -c user.email=u@e commit -qam "
        "moved && git checkout -q -b old && echo better >> genomes/a/agent && git -c user.name=u -c"
        " user.email=u@e commit -qam better && git checkout -q - && echo june > README && git -c"
        " user.name=u -c user.email=u@e commit -qam june && git rev-parse old > " +
        dir + "/old");
  std::ifstream said(dir + "/old");
  std::string commit;
  said >> commit;
  auto request = asked();
  request.set_folder("genomes/a");
  add(request, commit);
  const auto status = try_create(request);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(file_at(lease.given_commit(), "genomes/a/agent") == file_at(commit, "genomes/a/agent"));
  CHECK(file_at(lease.given_commit(), "README") == "june\n");
}

TEST_CASE_FIXTURE(importing, "an import that is leased is taken up again by a coordinator anew") {
  std::string origin, given;
  {
    scripted_worker worker(service->address(), "w1");
    auto request = asked();
    add(request, other_archive(worker));
    origin = request.imports(0).generation_id();
    REQUIRE(try_create(request).ok());
    found(worker);
    given = lease_of(worker, v1::WORK_KIND_ITERATE).given_commit();
    REQUIRE_FALSE(given.empty());
  }
  restart();
  kept.clear();
  held.clear();
  scripted_worker worker(service->address(), "w1");
  const auto lease = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(lease.given_origin() == origin);
  CHECK(lease.given_commit() == given);
}

TEST_CASE_FIXTURE(importing, "a commit of the seed's own repository can be imported, too") {
  shell("cd " + dir +
        "/user && git checkout -q -b other && echo other >> agent && git -c"
        " user.name=u -c user.email=u@e commit -qam other && git checkout -q -");
  shell("cd " + dir + "/user && git rev-parse other > " + dir + "/other");
  std::ifstream said(dir + "/other");
  std::string commit;
  said >> commit;
  auto request = asked();
  add(request, commit);
  const auto status = try_create(request);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(file_at(lease.given_commit(), "agent") == file_at(commit, "agent"));
}

TEST_CASE_FIXTURE(importing, "an import whose lineage was killed meanwhile is another's") {
  scripted_worker worker(service->address(), "w1");
  const auto commit = other_archive(worker);
  auto request = asked();
  request.set_lineages(2);
  add(request, commit);
  const auto status = try_create(request);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  found(worker);
  auto lease = lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto other = lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto& given = lease.given_commit().empty() ? other : lease;
  const auto& plain = lease.given_commit().empty() ? lease : other;
  CHECK(plain.given_commit().empty());
  kill_while_heard(worker, given.lineage_id());
  evolve(worker, plain);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1 + i));
  }
  const auto again = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(again.lineage_id() == plain.lineage_id());
  CHECK(again.given_origin() == given.given_origin());
}
