// Feeds mutated inputs to every reader of hostile bytes. A case passes when the reader ends,
// answers with a value or an error, and (under the sanitizer presets) touches no byte that is not
// its own. The random_seed is fixed, so a failure repeats; GERMLINE_FUZZ_SEED sets another.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/artefact/tar.hpp"
#include "common/context/agent_context.hpp"
#include "common/git/commit.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/tree.hpp"
#include "common/manifest/genome_manifest.hpp"
#include "common/random.hpp"
#include "tests/fuzz/fuzzing.hpp"
#include "worker/importer/import.hpp"
#include "worker/importer/wire.hpp"
#include "worker/validation/judge.hpp"
#include "worker/validation/score.hpp"

using namespace germline;
using namespace germline::tests;
using namespace germline::worker;

namespace {

/// Puts into a tar's header at `at` the sum that it should have.
void write_checksum(std::string& tar, std::size_t at) {
  constexpr std::size_t place = 148;
  tar.replace(at + place, 8, 8, ' ');
  unsigned sum = 0;
  for (std::size_t i = at; i < at + 512; ++i) sum += static_cast<unsigned char>(tar[i]);
  for (int digit = 5; digit >= 0; --digit, sum >>= 3) {
    tar[at + place + static_cast<std::size_t>(digit)] = static_cast<char>('0' + (sum & 7));
  }
  tar[at + place + 6] = '\0';
}

/// Runs `read` on `rounds` mutations; it returns whether it took the input. Some must be taken and
/// some refused, else the mutations test nothing.
void fuzz(const std::vector<std::string>& seeds, std::size_t rounds,
          const std::function<bool(const std::string&)>& read) {
  seeded_random random(fuzz_seed());
  std::size_t taken = 0;
  for (const auto& seed : seeds) REQUIRE(read(seed));
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    if (read(mutate_bytes(seeds[random.below(seeds.size())], 8, random))) ++taken;
  }
  CHECK(taken < rounds);
}

struct packs {
  import_job job;
  std::string parent, candidate;
};

packs make_packs() {
  using git::object_type;
  packs made;
  git::pack_writer before, after;
  const auto context = before.add(object_type::blob, R"({"goalState":"","history":[]})");
  const auto one = before.add(object_type::blob, "one\n");
  const auto root =
      before.add(object_type::tree,
                 git::write_tree({{0100644, "a", one}, {0100644, "agent_context.json", context}}));
  const auto head =
      before.add(object_type::commit, git::write_commit({root, {}, "a", "b", 1, "\nfirst\n"}));
  const auto two = after.add(object_type::blob, "two\n");
  const auto link = after.add(object_type::blob, "a");
  const auto tree =
      after.add(object_type::tree, git::write_tree({{0100644, "a", two},
                                                    {0100644, "agent_context.json", context},
                                                    {0120000, "link", link}}));
  const auto commit =
      after.add(object_type::commit, git::write_commit({tree, {head}, "a", "b", 2, "\nsecond\n"}));
  made.job.parent_commit = head.hex();
  made.job.candidate_commit = commit.hex();
  made.parent = std::move(before).finish();
  made.candidate = std::move(after).finish();
  return made;
}

}  // namespace

TEST_CASE("packs") {
  const auto good = make_packs();
  fuzz({good.parent, good.candidate}, 20'000,
       [](const std::string& bytes) { return git::pack_view::open(bytes, {}).has_value(); });
}

TEST_CASE("whole imports, with objects that were mutated and packed soundly") {
  using git::object_type;
  const auto good = make_packs();
  const auto view = git::pack_view::open(good.candidate, {});
  REQUIRE(view);
  seeded_random random(fuzz_seed());
  for (int i = 0; i < 5'000; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    auto job = good.job;
    git::pack_writer pack;
    git::oid tree;
    for (const auto& [id, entry] : view->entries()) {
      const auto bytes = *view->read(entry);
      if (entry.type == object_type::tree)
        tree = pack.add(entry.type, mutate_bytes(bytes, 8, random));
      if (entry.type == object_type::blob) pack.add(entry.type, bytes);
    }
    auto text =
        git::write_commit({tree, {*git::oid::parse(job.parent_commit)}, "a", "b", 2, "\nsecond\n"});
    if (random.below(4) == 0) text = mutate_bytes(text, 8, random);
    job.candidate_commit = pack.add(object_type::commit, text).hex();
    const auto out = import_candidate(job, good.parent, std::move(pack).finish());
    REQUIRE(out);
    REQUIRE(decode_output(encode_output(*out)));
    if (out->verdict == import_verdict::candidate) {
      REQUIRE(git::pack_view::open(out->pack, {}));
    }
  }
}

TEST_CASE("frames of the importer") {
  const auto good = make_packs();
  const auto out = import_candidate(good.job, good.parent, good.candidate);
  REQUIRE(out);
  fuzz({encode_input(good.job, good.parent, good.candidate)}, 20'000,
       [](const std::string& bytes) { return decode_input(bytes).has_value(); });
  fuzz({encode_output(*out)}, 20'000,
       [](const std::string& bytes) { return decode_output(bytes).has_value(); });
}

TEST_CASE("scores") {
  fuzz({R"({"score": -1.5e3, "metrics": {"b": 2, "a": 1}, "cases": {"x": 0.5, "\u00e4": 1}})",
        R"({"score": 7})"},
       50'000, [](const std::string& bytes) {
         const auto score = parse_score(bytes);
         return score && std::isfinite(score->score);
       });
}

TEST_CASE("trees and commits") {
  const auto id = git::hash_object(git::object_type::blob, "x");
  fuzz({git::write_tree({{0100644, "a", id}, {040000, "b", id}, {0120000, "c", id}})}, 50'000,
       [](const std::string& bytes) {
         const auto entries = git::parse_tree(bytes, 100);
         return entries && git::judge_tree(bytes, *entries).has_value();
       });
  fuzz({git::write_commit({id, {id}, "a", "b", 1, "\nm\n"})}, 50'000,
       [](const std::string& bytes) { return git::parse_commit(bytes).has_value(); });
}

TEST_CASE("contexts") {
  const std::string seed =
      R"({"goalState":"g","history":[{"timestamp":"t","action":"summary","result":"success",)"
      R"("details":"d","summarizes":3},{"timestamp":"t","action":"a","result":"failure",)"
      R"("details":"é\u00e9"}],"more":{"x":[1,2.5,null]}})";
  fuzz({seed}, 20'000, [&](const std::string& text) {
    const context_limits limits;
    const auto good = check_context(text, limits).has_value();
    const auto kept = keeps_history(seed, text, limits).has_value();
    CHECK((good || !kept));
    const auto appended = append_entry(text, {"t", "a", true, "d"}, limits);
    CHECK(check_context(appended, limits).has_value());
    return good;
  });
}

TEST_CASE("manifests") {
  fuzz({"schema = 1\n[genome]\nname = \"a\"\n[agent]\nartefact = [\"x/y\"]\nrun = \"x\"\n"
        "[protect]\npaths = [\"p/**\"]\ntests = \"p/run\"\n[sandbox]\nmemory = \"2GiB\"\n"
        "cpus = 1.5\nwall_time = \"30m\"\n"},
       20'000, [](const std::string& text) { return parse_genome_manifest(text).has_value(); });
}

TEST_CASE("tars of artefacts") {
  std::string seed;
  const std::string long_name = "build/" + std::string(150, 'd') + "/" + std::string(120, 'e');
  REQUIRE(artefact::write_tar({{"build/agent", true, "#!/bin/sh\n"}, {long_name, false, "1"}},
                              [&](std::string_view bytes) -> result<void> {
                                seed += bytes;
                                return {};
                              }));
  // Changes of contents are no damage; those of headers nearly always break their checksum, so it
  // is put right again in half of them.
  int turn = 0;
  fuzz({seed}, 20'000, [&](std::string bytes) {
    if (++turn % 2 == 0) {
      for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) write_checksum(bytes, at);
    }
    return artefact::read_tar(bytes, {}, {.total_bytes = 1 << 20}).has_value();
  });
}

TEST_CASE("test reports") {
  fuzz({R"(<?xml version="1.0"?><testsuites><testsuite name="s" tests="2"><testcase name="a" )"
        R"(classname="s"/><testcase name="b"><failure message="m">t</failure></testcase>)"
        R"(<testcase name="c"><skipped/></testcase></testsuite></testsuites>)"},
       20'000, [](const std::string& xml) {
         judge_report(xml, {"s.a"});
         return parse_junit(xml).has_value();
       });
}
