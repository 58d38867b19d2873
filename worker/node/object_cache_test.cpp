// Packs that a worker keeps, of a history as it grows.
#include "worker/node/object_cache.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "common/git/commit.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/tree.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::worker;

namespace fs = std::filesystem;

namespace {

/// A coordinator with a line of commits, each with a file that differs from the one before.
class coordinator {
 public:
  explicit coordinator(int commits) {
    std::vector<git::oid> parents;
    for (int i = 0; i < commits; ++i) {
      git::pack_writer pack;
      const auto blob = pack.add(git::object_type::blob, std::string(1'000, 'a') + char('a' + i));
      const auto tree = pack.add(git::object_type::tree, git::write_tree({{0100644, "f", blob}}));
      const auto commit =
          pack.add(git::object_type::commit, git::write_commit({tree, parents, "n", "e", i, "m"}));
      steps.push_back(std::move(pack).finish());
      parents = {commit};
      ids.push_back(commit.hex());
    }
  }

  /// What commit `to` adds to `from` (-1: to nothing).
  std::string pack(int from, int to) const {
    git::pack_writer pack;
    for (int i = from + 1; i <= to; ++i) {
      const auto step = git::pack_view::open(steps[static_cast<std::size_t>(i)], {});
      for (const auto& [id, entry] : step->entries()) pack.add(entry.type, *step->read(entry));
    }
    return std::move(pack).finish();
  }

  object_cache::fetcher fetcher_of(int which) {
    return [this, which](const std::vector<std::string>& have,
                         spool into) -> result<object_cache::fetched> {
      int base = -1;
      for (int i = 0; i < which; ++i) {
        if (std::ranges::find(have, ids[static_cast<std::size_t>(i)]) != have.end()) base = i;
      }
      const auto bytes = lying ? pack(which - 1, which) : pack(base, which);
      sent.push_back(which - base);
      GERMLINE_TRY(into.append(bytes));
      lying = false;
      return object_cache::fetched{base < 0 ? "" : ids[static_cast<std::size_t>(base)],
                                   std::move(into)};
    };
  }

  std::vector<std::string> ids;
  std::vector<std::string> steps;
  std::vector<int> sent;  // how many commits, of each answer
  bool lying = false;     // leaves out all but the newest, once
};

struct fixture {
  std::size_t objects(const result<spool>& got) {
    REQUIRE_MESSAGE(got, got.error().message());
    auto& held = const_cast<spool&>(*got);
    const auto view = git::pack_view::open(*held.view(), git::history_limits);
    REQUIRE(view);
    return view->size();
  }
  object_cache open(std::int64_t bytes = 1 << 30) {
    auto cache = object_cache::open(dir.path() + "/objects", bytes);
    REQUIRE(cache);
    return std::move(*cache);
  }
  result<spool> get(object_cache& cache, int which) {
    return cache.get(from.ids[static_cast<std::size_t>(which)], 1 << 20, from.fetcher_of(which));
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto& each : fs::directory_iterator(dir.path() + "/objects")) all.push_back(each);
    return all;
  }

  tests::temp_dir dir;
  coordinator from{6};
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "of the next commit only what is new is fetched, also after a restart") {
  {
    auto cache = open();
    CHECK(objects(get(cache, 2)) == 9);
    CHECK(objects(get(cache, 2)) == 9);
    CHECK(objects(get(cache, 3)) == 12);
  }
  auto cache = open();
  CHECK(objects(get(cache, 3)) == 12);
  CHECK(objects(get(cache, 5)) == 18);
  CHECK(objects(get(cache, 0)) == 3);
  CHECK(from.sent == std::vector<int>{3, 1, 2, 1});
}

TEST_CASE_FIXTURE(fixture, "what is damaged on the disk is fetched again") {
  auto cache = open();
  CHECK(objects(get(cache, 1)) == 6);
  const auto file = files().at(0);
  std::fstream(file, std::ios::in | std::ios::out).seekp(30).put('!');
  CHECK(objects(get(cache, 1)) == 6);
  CHECK(from.sent == std::vector<int>{2, 2});
  std::fstream(files().at(0), std::ios::in | std::ios::out).seekp(30).put('!');
  // As the base of another: the coordinator was told that it is here.
  CHECK(objects(get(cache, 2)) == 9);
  CHECK(from.sent == std::vector<int>{2, 2, 1, 3});
}

TEST_CASE_FIXTURE(fixture, "what does not fit together is fetched as a whole") {
  auto cache = open();
  CHECK(objects(get(cache, 1)) == 6);
  from.lying = true;
  CHECK(objects(get(cache, 4)) == 15);
  CHECK(from.sent == std::vector<int>{2, 3, 5});
}

TEST_CASE_FIXTURE(fixture, "the least recently used goes first, and what is held stays readable") {
  const auto one = static_cast<std::int64_t>(from.pack(-1, 0).size());
  auto cache = open(one * 5 / 2);
  auto held = get(cache, 0);
  REQUIRE(held);
  for (const auto& each : files()) {
    fs::last_write_time(each, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }
  CHECK(objects(get(cache, 1)) == 6);
  REQUIRE(files().size() == 1);
  CHECK(files().at(0).filename().string().starts_with(from.ids[1]));
  CHECK(objects(held) == 3);
}

TEST_CASE_FIXTURE(fixture, "all that is kept can be dropped, and is fetched again") {
  auto cache = open();
  CHECK(objects(get(cache, 1)) == 6);
  cache.clear();
  CHECK(files().empty());
  CHECK(objects(get(cache, 1)) == 6);
}

TEST_CASE_FIXTURE(fixture, "a history beyond the bound is refused, however it comes together") {
  auto cache = open();
  CHECK(objects(get(cache, 0)) == 3);
  const auto bound = static_cast<std::int64_t>(from.pack(-1, 1).size()) - 1;
  const auto refused = cache.get(from.ids[1], bound, from.fetcher_of(1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == error_code::resource_exhausted);
}

TEST_CASE_FIXTURE(fixture, "a fetch that fails is told, and leaves nothing") {
  auto cache = open();
  const auto failed =
      cache.get(from.ids[0], 1 << 20, [](const auto&, spool) -> result<object_cache::fetched> {
        return error(error_code::cancelled, "the attempt was cancelled");
      });
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code() == error_code::cancelled);
  CHECK(files().empty());
  std::ofstream(dir.path() + "/objects/left.new") << "half";
  auto again = open();
  CHECK(files().empty());
}
