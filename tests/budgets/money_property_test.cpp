// Money in equals money out, and so with tokens and requests: whatever dies, is lost, comes late or
// comes twice. A failure prints its random seed: GERMLINE_FUZZ_SEED=N repeats it,
// GERMLINE_FUZZ_TIMES=50 does as many more.
#include <doctest/doctest.h>

#include "common/log.hpp"
#include "tests/budgets/money_world.hpp"
#include "tests/fuzz/fuzzing.hpp"

using namespace germline;
using namespace germline::tests;

namespace {

constexpr int steps = 600;

void live(std::uint64_t random_seed, money_dangers dangers, std::map<std::string, int>& happened) {
  CAPTURE(random_seed);
  money_world world(random_seed, dangers);
  for (int i = 0; i < steps; ++i) {
    CAPTURE(i);
    world.step();
    const auto wrong = world.why_wrong();
    REQUIRE(wrong == "");
  }
  world.end();
  const auto wrong = world.why_wrong_at_end();
  REQUIRE(wrong == "");
  for (const auto& [what, count] : world.happened) happened[what] += count;
}

void check_happened(const std::map<std::string, int>& happened,
                    std::initializer_list<const char*> all) {
  for (const auto* each : all) {
    CAPTURE(each);
    CHECK(happened.contains(each));
  }
}

}  // namespace

TEST_CASE("money in equals money out: everything is charged what the upstream billed") {
  std::map<std::string, int> happened;
  const auto rounds = fuzz_rounds(6);
  for (std::size_t round = 0; round < rounds; ++round) live(fuzz_seed() + round, {}, happened);
  // What is not there was not tested.
  check_happened(
      happened,
      {"lease", "lease refused", "request", "request refused", "died before a reserve",
       "tore a reserve", "died before a settle", "tore a settle", "gateway died", "worker died",
       "lost", "lost, and told", "out of reach", "finished", "given back", "budget changed",
       "tokens and requests given back", "lease without tokens", "budget introduced"});
}

TEST_CASE("where journals are lost, an attempt is charged whole, and never less than was billed") {
  std::map<std::string, int> happened;
  const auto rounds = fuzz_rounds(4);
  for (std::size_t round = 0; round < rounds; ++round) {
    live(fuzz_seed() + 1'000'000 + round, {.journals_are_lost = true}, happened);
  }
  check_happened(happened, {"machine booted", "disk lost", "given back"});
}
