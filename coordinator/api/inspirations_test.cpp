// What iterations are shown of other generations, over the wire.
#include <doctest/doctest.h>

#include <algorithm>

#include "coordinator/measured_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

struct inspired : measured_fixture {
  inspired() : measured_fixture(1) {}

  v1::CreateRunRequest asked(int lineages, int inspirations) {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    request.set_lineages(lineages);
    request.set_strategy("best");
    request.set_inspirations(inspirations);
    return request;
  }
  /// Bears the lease's generation, and scores it; its commit.
  std::string bear(scripted_worker& worker, const v1::Lease& lease, double value) {
    take_leases(worker, 20);
    const auto commit = evolve(worker, lease);
    REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), value));
    return commit;
  }
  git::repository objects() {
    auto repo = git::repository::open(dir + "/state/objects.git");
    REQUIRE(repo);
    return std::move(*repo);
  }
  std::string file_at(const std::string& commit, const std::string& path) {
    const auto text = objects().read_file_at(commit, path, 1 << 20);
    REQUIRE_MESSAGE(text, (text ? "" : text.error().message()));
    return *text;
  }
};

}  // namespace

TEST_CASE_FIXTURE(inspired, "an iteration is shown others' source, on what both come from") {
  const auto status = try_create(asked(2, 2));
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  scripted_worker worker(service->address(), "w1");
  found(worker);
  REQUIRE(score(worker, lease_of(worker, v1::WORK_KIND_EVALUATE), 1));
  const auto first = lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto second = lease_of(worker, v1::WORK_KIND_ITERATE);
  CHECK(first.inspirations_size() == 0);  // there is none but its parent
  const auto good = bear(worker, first, 5);
  lease_of(worker, v1::WORK_KIND_ITERATE);
  const auto other = bear(worker, second, 3);

  const auto moved = lease_of(worker, v1::WORK_KIND_ITERATE);
  REQUIRE(moved.lineage_id() == second.lineage_id());
  REQUIRE(moved.inspirations_size() == 1);  // of the seed its parent has all
  const auto& shown = moved.inspirations(0);
  CHECK(shown.mean() == 3);
  CHECK(shown.samples() == 1);
  // The source is the other's, though the lineage was moved away from it; the context is the
  // base's.
  const auto log = objects().log(shown.commit(), 1);
  REQUIRE(log);
  CHECK(log->front().parents == std::vector{first.parent_commit()});
  CHECK(file_at(shown.commit(), "agent") == file_at(other, "agent"));
  CHECK(file_at(shown.commit(), "agent") != file_at(good, "agent"));
  // It is fetched as what the parent lacks, a commit and what its source has changed.
  CHECK(shown.base() == first.parent_commit());
  const auto thin = worker.fetch_objects(shown.commit(), shown.base());
  const auto view = git::pack_view::open(thin, git::history_limits);
  REQUIRE(view);
  CHECK(view->entries().size() == 3);

  // A worker says that it was merged; what was not shown it cannot have merged.
  take_leases(worker, 20);
  std::string pack;
  const auto commit = make_commit(worker, moved, pack);
  REQUIRE(worker.put_objects(moved, pack).ok());
  const auto art = worker.put_artefact(moved, "merged");
  worker.merged = {shown.generation_id(), moved.parent_generation(), "gen_nobody"};
  REQUIRE(worker.report(moved, v1::ENDING_EVOLVED, commit, art).accepted());
  const auto now = wait_tree([&](const v1::GetTreeReply& tree) {
    return std::ranges::any_of(tree.generations(),
                               [&](const auto& each) { return each.merged_size() > 0; });
  });
  CHECK(now.run().inspirations() == 2);
  const auto born = std::ranges::find_if(now.generations(),
                                         [&](const auto& each) { return each.commit() == commit; });
  REQUIRE(born != now.generations().end());
  REQUIRE(born->merged_size() == 1);
  CHECK(born->merged(0) == shown.generation_id());
  CHECK(born->parent() == moved.parent_generation());
}

TEST_CASE_FIXTURE(inspired, "inspirations that cannot be are refused with why") {
  CHECK(try_create(asked(1, 9)).error_message().find("inspirations must be 0 to 8") !=
        std::string::npos);
  CHECK(try_create(asked(1, -1)).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  auto chain = asked(1, 1);
  chain.set_strategy("chain");
  CHECK(try_create(chain).error_message().find("chain chooses nothing") != std::string::npos);
}
