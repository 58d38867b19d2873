#include "worker/node/artefact_cache.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>

using namespace germline;
using namespace germline::worker;

namespace {

/// The bytes must outlive them.
std::vector<artefact::file> files_of(std::string_view bytes) {
  return {{"agent", true, bytes}};
}

struct fixture {
  fixture() {
    char name[] = "/tmp/germline-cache-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    dir = name;
    auto opened = artefact::artefact_store::open(dir);
    REQUIRE(opened);
    store.emplace(std::move(*opened));
  }
  ~fixture() { std::filesystem::remove_all(dir); }

  /// Seals it, keeps it, and says that it was last used so many seconds ago.
  std::string kept(artefact_cache& cache, const std::string& bytes, int ago_s) {
    auto sealed = cache.seal(files_of(bytes));
    REQUIRE(sealed);
    sealed->keep();
    const auto id = sealed->id();
    *sealed = artefact_pin();
    const auto now = std::filesystem::file_time_type::clock::now();
    std::filesystem::last_write_time(dir + "/" + id, now - std::chrono::seconds(ago_s));
    return id;
  }

  std::string dir;
  std::optional<artefact::artefact_store> store;
};

constexpr std::int64_t plenty = 1 << 30;

}  // namespace

TEST_CASE_FIXTURE(fixture, "what was sealed and not kept goes with its last user") {
  artefact_cache cache(*store, plenty);
  std::string id;
  {
    const auto first = cache.seal(files_of("rejected"));
    REQUIRE(first);
    id = first->id();
    CHECK(std::filesystem::exists(*first->tree_path() + "/agent"));
    {
      const auto second = cache.seal(files_of("rejected"));
      REQUIRE(second);
      CHECK(second->id() == id);
    }
    CHECK(store->contains(id));
  }
  CHECK_FALSE(store->contains(id));
  CHECK(std::filesystem::is_empty(dir));
}

TEST_CASE_FIXTURE(fixture, "a birth stays, and so does what is a parent elsewhere") {
  artefact_cache cache(*store, plenty);
  const auto born = kept(cache, "born", 0);
  CHECK(store->contains(born));
  { REQUIRE(cache.seal(files_of("born"))); }  // rejected, with the content of a generation
  CHECK(store->contains(born));
  const auto again = cache.use(born);
  REQUIRE(again);
  CHECK(cache.use(std::string(64, '0')).error().code() == error_code::not_found);

  const auto rejected = cache.seal(files_of("the same as a parent's"));
  std::string id = rejected->id();
  { REQUIRE(cache.use(id)); }  // meanwhile another attempt has it as its parent's
  CHECK(store->contains(id));
}

TEST_CASE_FIXTURE(fixture, "what is kept is bounded, and the least recently used goes first") {
  artefact_cache cache(*store, 2'500);
  const auto oldest = kept(cache, std::string(1'000, 'a'), 300);
  const auto middle = kept(cache, std::string(1'000, 'b'), 200);
  const auto in_use = cache.use(oldest);
  REQUIRE(in_use);
  const auto newer = kept(cache, std::string(1'000, 'c'), 100);
  CHECK(store->contains(middle));  // what is in use does not count
  const auto newest = kept(cache, std::string(1'000, 'd'), 0);
  CHECK(store->contains(oldest));
  CHECK_FALSE(store->contains(middle));
  CHECK(store->contains(newer));
  CHECK(store->contains(newest));
}
