#include "worker/importer/import.hpp"

#include <doctest/doctest.h>
#include <zlib.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/git/commit.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/tree.hpp"
#include "common/random.hpp"
#include "common/text/change_sketch.hpp"
#include "worker/importer/wire.hpp"

using namespace germline;
using namespace germline::worker;
using git::object_type;
using git::oid;
using git::pack_writer;
using git::tree_entry;
using git::write_tree;

namespace {

const std::string parent_context =
    R"({"goalState":"g","x":[1],"history":[{"timestamp":"t1","action":"a","result":"success","details":"d"}]})";
const std::string new_context =
    R"({"goalState":"h","x":[1],"history":[{"timestamp":"t1","action":"a","result":"success","details":"d"},{"timestamp":"t2","action":"learn","result":"success","details":"e"}]})";

oid commit(pack_writer& pack, const oid& tree, std::vector<oid> parents) {
  git::commit_text text{tree, std::move(parents), "agent", "a@b", 1'700'000'000, "\nwork\n"};
  return pack.add(object_type::commit, write_commit(text));
}

/// A parent commit with its objects: genome.toml, agent_context.json, src/, protected/run.
struct parent_side {
  pack_writer pack;
  oid context = pack.add(object_type::blob, parent_context);
  oid manifest = pack.add(object_type::blob, "schema = 1\n");
  oid run = pack.add(object_type::blob, "#!/bin/sh\n");
  oid code = pack.add(object_type::blob, "one\n");
  oid src = pack.add(object_type::tree, write_tree({{0100644, "a", code}}));
  oid guarded = pack.add(object_type::tree, write_tree({{0100755, "run", run}}));
  std::vector<tree_entry> entries = {{0100644, "agent_context.json", context},
                                     {0100644, "genome.toml", manifest},
                                     {040000, "protected", guarded},
                                     {040000, "src", src}};
  oid root = pack.add(object_type::tree, write_tree(entries));
  oid head = commit(pack, root, {});
};

struct scene {
  parent_side parent;
  pack_writer pack;  // the candidate's
  std::vector<tree_entry> entries = parent.entries;
  import_job job;

  scene() {
    job.parent_commit = parent.head.hex();
    job.protected_globs = {"protected/**", "genome.toml"};
    job.run_id = "run_1";
    job.attempt_id = "att_1";
    job.fence = 7;
    job.time_s = 1'700'000'000;
    job.subject = "germline: generation 3";
  }
  oid blob(std::string_view bytes) { return pack.add(object_type::blob, bytes); }
  oid tree(std::vector<tree_entry> list) { return pack.add(object_type::tree, write_tree(list)); }
  void put(std::uint32_t mode, const std::string& name, const oid& id) {
    std::erase_if(entries, [&](const auto& e) { return e.name == name; });
    entries.push_back({mode, name, id});
  }
  void drop(const std::string& name) {
    std::erase_if(entries, [&](const auto& e) { return e.name == name; });
  }
  /// Commits `entries` on the head and imports it.
  import_output run() { return run_tree(tree(entries)); }
  import_output run_tree(const oid& root) { return run_commit(commit(pack, root, {parent.head})); }
  import_output run_commit(const oid& candidate) {
    job.candidate_commit = candidate.hex();
    auto writer = pack;
    return run_pack(std::move(writer).finish());
  }
  import_output run_pack(const std::string& bytes) {
    auto writer = parent.pack;
    auto out = import_candidate(job, std::move(writer).finish(), bytes);
    REQUIRE_MESSAGE(out, (out ? "" : out.error().message()));
    // Whatever is answered survives the wire.
    REQUIRE(decode_output(encode_output(*out)));
    return *out;
  }
  void evolve() {
    put(0100644, "src2", blob("two\n"));
    put(0100644, "agent_context.json", blob(new_context));
  }
};

void check_refused(const import_output& out, const std::string& reason, const std::string& part) {
  CAPTURE(out.details);
  CHECK(out.verdict == import_verdict::rejected);
  CHECK(out.reason == reason);
  CHECK(out.details.find(part) != std::string::npos);
  CHECK(out.commit.empty());
  CHECK(out.pack.empty());
}

std::string zlib_of(std::string_view bytes) {
  std::string out(compressBound(bytes.size()), '\0');
  auto length = static_cast<uLong>(out.size());
  REQUIRE(compress(reinterpret_cast<Bytef*>(out.data()), &length,
                   reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) == Z_OK);
  out.resize(length);
  return out;
}

/// A pack of one object put together by hand. `first` is its header's bytes.
std::string hand_pack(std::string first, const std::string& body, unsigned count = 1) {
  std::string pack("PACK\0\0\0\2\0\0\0", 11);
  pack += static_cast<char>(count);
  pack += first + body;
  // No checksum fits, and none needs to: what is wrong is found before.
  return pack + std::string(20, '\0');
}

}  // namespace

TEST_CASE("a good candidate becomes a commit of the worker's own") {
  scene s;
  s.evolve();
  const auto out = s.run();
  REQUIRE_MESSAGE(out.verdict == import_verdict::candidate, out.details);
  CHECK(out.context_ok);
  CHECK(out.action == "learn");
  CHECK(out.changed_paths == std::vector<std::string>{"src2"});
  CHECK(out.raw_commit == s.job.candidate_commit);
  CHECK(out.commit != out.raw_commit);
  const auto view = git::pack_view::open(out.pack, {});
  REQUIRE(view);
  const auto* entry = view->find(*oid::parse(out.commit));
  REQUIRE(entry != nullptr);
  const auto text = *view->read(*entry);
  CHECK(text.find("tree " + out.tree + "\nparent " + s.parent.head.hex() + "\nauthor Germline") ==
        0);
  CHECK(text.find("\nGermline-Run: run_1\n") != std::string::npos);
  CHECK(text.find("\nGermline-Fence: 7\n") != std::string::npos);
  CHECK(view->find(*oid::parse(out.raw_commit)) != nullptr);
  CHECK(view->size() == 5);  // two commits, one tree, two blobs: nothing of the parent's
  // It is a function: the same input gives the same bytes.
  CHECK(s.run_commit(*oid::parse(s.job.candidate_commit)).pack == out.pack);
}

TEST_CASE("what a candidate changed has a sketch, in which its context has no part") {
  const auto sketch_of = [](const std::function<void(scene&)>& change) {
    scene s;
    s.evolve();
    change(s);
    const auto out = s.run();
    CHECK(out.verdict == import_verdict::candidate);
    return *change_sketch::read(out.change_sketch);
  };
  const auto nothing = [](scene&) {};
  const auto one = sketch_of(nothing);
  CHECK(one.likeness(sketch_of(nothing)) == 1);
  CHECK(one.likeness(sketch_of([](scene& s) {
    s.drop("agent_context.json");
    s.put(0100644, "agent_context.json", s.blob(parent_context));
  })) == 1);
  CHECK(one.likeness(sketch_of([](scene& s) { s.put(0100644, "src2", s.blob("three\n")); })) == 0);
  CHECK(one.likeness(sketch_of([](scene& s) { s.put(0100644, "src3", s.blob("more\n")); })) == 0.5);
  const auto large = std::string(9 << 20, 'x');
  CHECK(sketch_of([&](scene& s) { s.put(0100644, "large", s.blob(large)); }).empty());
}

TEST_CASE("no change outside the context is stalled") {
  scene s;
  s.put(0100644, "agent_context.json", s.blob(new_context));
  const auto out = s.run();
  CHECK(out.verdict == import_verdict::stalled);
  CHECK(out.action == "learn");
  scene same;
  CHECK(same.run_commit(same.parent.head).verdict == import_verdict::stalled);
  scene nothing;
  CHECK(nothing.run_pack("").verdict == import_verdict::stalled);
}

TEST_CASE("entry names and modes of a candidate's trees") {
  struct kind {
    std::uint32_t mode;
    std::string name;
    std::string says;
  };
  const std::vector<kind> kinds = {
      {0100644, ".git", "takes it for .git"},
      {0100644, ".GIT", "take it for .git"},
      {040000, ".Git ", "take it for .git"},
      {0100644, ".git...", "take it for .git"},
      {0100644, "git~1", "take it for .git"},
      {0100644, "GIT~2", "take it for .git"},
      {0100644, ".g\xe2\x80\x8cit", "take it for .git"},
      {0100644, ".git::$INDEX_ALLOCATION", "take it for .git"},
      {0100644, ".gitmodules", "submodules are not taken"},
      {0100644, "..", "path of its own"},
      {0100644, ".", "path of its own"},
      {0100644, "a/b", "has a '/'"},
      {0100644, "../x", "has a '/'"},
      {0100644, "a\\b", "backslash"},
      {0100644, "a\nb", "control character"},
      {0100644, "\xff\xfe", "not UTF-8"},
      {0100644, std::string(300, 'a'), "longer than 255"},
      {0160000, "sub", "is a submodule"},
      {0100664, "odd", "has mode 100664"},
      {0100777, "odd", "has mode 100777"},
      {0060000, "device", "has mode 60000"},
  };
  for (const auto& one : kinds) {
    CAPTURE(one.name);
    scene s;
    s.evolve();
    const auto target = one.mode == 040000 ? s.tree({{0100644, "x", s.blob("x")}}) : s.blob("x");
    s.put(one.mode, one.name, target);
    auto says = one.says == "takes it for .git" ? "take it for .git" : one.says;
    check_refused(s.run(), "objects", says);
    // The same below a folder.
    scene deep;
    deep.evolve();
    const auto below =
        one.mode == 040000 ? deep.tree({{0100644, "x", deep.blob("x")}}) : deep.blob("x");
    deep.put(040000, "folder", deep.tree({{one.mode, one.name, below}}));
    check_refused(deep.run(), "objects", says);
  }
}

TEST_CASE("trees that are not in their one form") {
  scene s;
  const auto x = s.blob("x");
  const auto entry = [&](const std::string& name) {
    return "100644 " + name + std::string(1, '\0') + std::string(x.raw());
  };
  const std::vector<std::pair<std::string, std::string>> raw = {
      {entry("a") + entry("a"), "twice"},
      {entry("b") + entry("a"), "out of order"},
      {"0" + entry("a"), "mode is malformed"},
      {"100644 a", "truncated"},
      {entry("a").substr(0, 20), "truncated"},
      {"100844 a" + entry(""), "mode is malformed"},
      {entry(""), "it is empty"},
      {"100644 a" + std::string(21, '\0'), "has no object"},
  };
  for (const auto& [bytes, says] : raw) {
    CAPTURE(says);
    scene one;
    one.blob("x");
    one.evolve();
    one.put(040000, "t", one.pack.add(object_type::tree, bytes));
    check_refused(one.run(), "objects", says);
  }
  // A file and a folder of one name are not neighbours in git's order.
  scene both;
  both.evolve();
  const auto file = both.blob("x");
  both.put(040000, "t",
           both.tree({{0100644, "a", file},
                      {0100644, "a.b", file},
                      {040000, "a", both.tree({{0100644, "x", file}})}}));
  check_refused(both.run(), "objects", "twice");
}

TEST_CASE("symbolic links stay inside") {
  for (const auto* target : {"/etc/passwd", "../x", "a/../../x", "a/..", ".git/hooks", ""}) {
    CAPTURE(target);
    scene s;
    s.evolve();
    s.put(0120000, "link", s.blob(target));
    check_refused(s.run(), "objects", "link");
  }
  scene good;
  good.evolve();
  good.put(040000, "d", good.tree({{0120000, "link", good.blob("../src/a")}}));
  CHECK(good.run().verdict == import_verdict::candidate);
  // The same tree one level higher up would lead outside.
  scene moved;
  moved.evolve();
  const auto inner = moved.tree({{0120000, "link", moved.blob("../../x")}});
  moved.put(040000, "d", moved.tree({{040000, "e", inner}}));
  moved.put(040000, "f", inner);
  check_refused(moved.run(), "objects", "may lead outside");
}

TEST_CASE("objects that are missing or of another type") {
  scene missing;
  missing.evolve();
  missing.put(0100644, "lost", git::hash_object(object_type::blob, "never added"));
  check_refused(missing.run(), "objects", "is missing");
  scene typed;
  typed.evolve();
  typed.put(040000, "t", typed.blob("x"));
  check_refused(typed.run(), "objects", "in place of a tree");
  scene swapped;
  swapped.evolve();
  swapped.put(0100644, "t", swapped.parent.src);
  check_refused(swapped.run(), "objects", "in place of a blob");
  scene no_tree;
  no_tree.evolve();
  check_refused(no_tree.run_tree(git::hash_object(object_type::tree, "x")), "objects", "missing");
  scene claimed;
  claimed.evolve();
  claimed.tree(claimed.entries);
  check_refused(claimed.run_commit(claimed.parent.root), "objects", "in place of a commit");
  scene garbage;
  garbage.job.candidate_commit = "refs/heads/main; rm -rf /";
  check_refused(garbage.run_pack(""), "objects", "not an object id");
}

TEST_CASE("a candidate descends from the head") {
  scene orphan;
  orphan.evolve();
  check_refused(orphan.run_commit(commit(orphan.pack, orphan.tree(orphan.entries), {})), "objects",
                "does not descend");
  scene many;
  many.evolve();
  many.job.limits.commits = 3;
  auto last = many.parent.head;
  for (int i = 0; i < 5; ++i) last = commit(many.pack, many.tree(many.entries), {last});
  check_refused(many.run_commit(last), "objects", "more than 3 new commits");
  scene merge;
  merge.evolve();
  const auto root = merge.tree(merge.entries);
  const auto side = commit(merge.pack, root, {});
  CHECK(merge.run_commit(commit(merge.pack, root, {side, merge.parent.head})).verdict ==
        import_verdict::candidate);
  // A bad tree in a commit between is found although the last commit is clean.
  scene between;
  between.evolve();
  auto dirty = between.entries;
  dirty.push_back({0100644, ".git", between.blob("x")});
  const auto first = commit(between.pack, between.tree(dirty), {between.parent.head});
  check_refused(between.run_commit(commit(between.pack, between.tree(between.entries), {first})),
                "objects", ".git");
  scene malformed;
  malformed.evolve();
  const auto text = "tree " + malformed.tree(malformed.entries).hex() + "\nparent " +
                    malformed.parent.head.hex() + "\nauthor x\n\nm\n";
  check_refused(malformed.run_commit(malformed.pack.add(object_type::commit, text)), "objects",
                "malformed");
}

TEST_CASE("it is told which inspirations a candidate descends from") {
  scene merging;
  merging.evolve();
  auto theirs = merging.parent.entries;
  theirs.push_back({0100644, "theirs", merging.blob("theirs\n")});
  const auto shown = commit(merging.pack, merging.tree(theirs), {merging.parent.head});
  auto other = merging.parent.entries;
  other.push_back({0100644, "other", merging.blob("other\n")});
  const auto beside = commit(merging.pack, merging.tree(other), {merging.parent.head});
  merging.job.inspirations = {beside.hex(), shown.hex(), std::string(40, 'a')};
  const auto root = merging.tree(merging.entries);
  const auto own = commit(merging.pack, root, {merging.parent.head});
  const auto out =
      merging.run_commit(commit(merging.pack, root, {commit(merging.pack, root, {own, shown})}));
  CHECK(out.verdict == import_verdict::candidate);
  CHECK(out.merged == std::vector{shown.hex()});
  CHECK(decode_output(encode_output(out))->merged == out.merged);
  // The commit that takes its place stands on the head alone.
  scene alone;
  alone.evolve();
  alone.job.inspirations = {alone.parent.head.hex()};
  CHECK(alone.run().merged.empty());
  // What an inspiration has is judged like what the agent wrote.
  scene hostile;
  hostile.evolve();
  auto dirty = hostile.parent.entries;
  dirty.push_back({0100644, ".git", hostile.blob("x")});
  const auto bad = commit(hostile.pack, hostile.tree(dirty), {hostile.parent.head});
  hostile.job.inspirations = {bad.hex()};
  check_refused(hostile.run_commit(commit(hostile.pack, hostile.tree(hostile.entries),
                                          {hostile.parent.head, bad})),
                "objects", ".git");
}

TEST_CASE("protected paths") {
  scene changed;
  changed.evolve();
  changed.put(040000, "protected", changed.tree({{0100755, "run", changed.blob("evil")}}));
  check_refused(changed.run(), "protected", "'protected/run' is protected");
  scene mode;
  mode.evolve();
  mode.put(040000, "protected", mode.tree({{0100644, "run", mode.parent.run}}));
  check_refused(mode.run(), "protected", "protected/run");
  scene added;
  added.evolve();
  added.put(040000, "protected",
            added.tree({{0100755, "run", added.parent.run}, {0100644, "zz", added.blob("x")}}));
  check_refused(added.run(), "protected", "protected/zz");
  scene renamed;
  renamed.evolve();
  renamed.drop("protected");
  renamed.put(040000, "elsewhere", renamed.parent.guarded);
  check_refused(renamed.run(), "protected", "protected/run");
  scene linked;
  linked.evolve();
  linked.put(0120000, "protected", linked.blob("src"));
  check_refused(linked.run(), "protected", "'protected");
  scene manifest;
  manifest.evolve();
  manifest.job.protected_globs.clear();
  manifest.put(0100644, "genome.toml", manifest.blob("schema = 1\n# mine\n"));
  check_refused(manifest.run(), "protected", "genome.toml");
  scene outside;
  outside.evolve();
  outside.job.folder = "src";
  check_refused(outside.run(), "protected", "outside the genome's folder");
}

TEST_CASE("fan-outs, depths and counts end") {
  scene fan;  // 10^40 paths in 40 trees
  fan.evolve();
  auto leaf = fan.tree({{0100644, "x", fan.blob("x")}});
  for (int depth = 0; depth < 40; ++depth) {
    std::vector<tree_entry> wide;
    for (char c = 'a'; c <= 'j'; ++c) wide.push_back({040000, std::string(1, c), leaf});
    leaf = fan.tree(wide);
  }
  fan.put(040000, "fan", leaf);
  check_refused(fan.run(), "objects", "bytes in all");
  fan.job.limits.checkout_bytes = std::numeric_limits<std::int64_t>::max();
  check_refused(fan.run(), "objects", "entries in all");
  scene deep;
  deep.evolve();
  auto chain = deep.tree({{0100644, "x", deep.blob("x")}});
  for (int depth = 0; depth < 80; ++depth) chain = deep.tree({{040000, "d", chain}});
  deep.put(040000, "deep", chain);
  check_refused(deep.run(), "objects", "deeper than 64");
  scene wide;
  wide.evolve();
  wide.job.limits.tree_entries = 3;
  check_refused(wide.run(), "objects", "more than 3 entries");
  scene objects;
  objects.evolve();
  objects.job.limits.objects = 2;
  check_refused(objects.run(), "objects", "(limit 2)");
  scene large;
  large.evolve();
  large.job.limits.blob_bytes = 1'000;
  large.put(0100644, "large", large.blob(std::string(1'001, 'x')));
  check_refused(large.run(), "objects", "(limit 1000)");
  scene total;
  total.evolve();
  total.job.limits.total_bytes = 500;
  check_refused(total.run(), "objects", "more than 500 bytes");
  scene long_path;
  long_path.evolve();
  auto names = long_path.tree({{0100644, "x", long_path.blob("x")}});
  for (int i = 0; i < 20; ++i) names = long_path.tree({{040000, std::string(250, 'n'), names}});
  long_path.put(040000, "long", names);
  check_refused(long_path.run(), "objects", "4095 bytes");
}

TEST_CASE("what a tree comes to when it is checked out is bounded") {
  // One blob of 1 MB at 2,500 paths, most of them in trees that stand at many places themselves.
  const auto heavy = [](scene& s) {
    s.evolve();
    const auto blob = s.blob(std::string(1'000'000, 'x'));
    std::vector<tree_entry> files, folders;
    for (char c = 'a'; c < 'a' + 25; ++c) files.push_back({0100644, std::string(1, c), blob});
    const auto folder = s.tree(files);
    for (int i = 100; i < 200; ++i) folders.push_back({040000, std::to_string(i), folder});
    s.put(040000, "heavy", s.tree(folders));
  };
  scene default_bound;
  heavy(default_bound);
  const auto refused = default_bound.run();
  check_refused(refused, "objects", "at most 1073741824 are taken");
  CHECK(refused.details.find("come to 250000") != std::string::npos);
  CHECK(refused.details.find(" bytes in all") != std::string::npos);
  scene more;
  heavy(more);
  more.job.limits.checkout_bytes = std::int64_t{3} << 30;
  CHECK(more.run().verdict == import_verdict::candidate);
  // Of an ended iteration the context alone is taken then.
  scene ended;
  heavy(ended);
  ended.job.mode = import_mode::context_only;
  ended.job.append = context_entry{"2026-01-01T00:00:00.000Z", "judged", false, "refused"};
  const auto context = ended.run();
  CHECK(context.verdict == import_verdict::context);
  CHECK(context.raw_commit.empty());
  // Sums beyond what a number holds.
  scene endless;
  endless.evolve();
  auto leaf = endless.tree({{0100644, "x", endless.blob(std::string(1'000, 'x'))}});
  for (int depth = 0; depth < 60; ++depth) {
    std::vector<tree_entry> twice = {{040000, "a", leaf}, {040000, "b", leaf}};
    leaf = endless.tree(twice);
  }
  endless.put(040000, "endless", leaf);
  check_refused(endless.run(), "objects", "at most 1073741824 are taken");
}

TEST_CASE("of an iteration that bore nothing, few objects are kept for reading, and many are not") {
  const auto ended_with = [](std::size_t bytes) {
    scene s;
    s.evolve();
    std::string noise(bytes, '\0');  // does not compress
    seeded_random(1).fill({reinterpret_cast<std::uint8_t*>(noise.data()), noise.size()});
    s.put(0100644, "noise", s.blob(noise));
    s.job.mode = import_mode::context_only;
    s.job.append = context_entry{"2026-01-01T00:00:00.000Z", "judged", false, "refused"};
    const auto out = s.run();
    CHECK(out.verdict == import_verdict::context);
    CHECK(out.context_ok);
    CHECK(git::pack_view::open(out.pack, {}));
    return out;
  };
  const auto few = ended_with(3'000'000);
  CHECK_FALSE(few.raw_commit.empty());
  CHECK(few.pack.size() > 3'000'000);
  const auto many = ended_with(5'000'000);
  CHECK(many.raw_commit.empty());
  CHECK(many.pack.size() < 10'000);
}

TEST_CASE("packs that lie") {
  scene s;
  s.evolve();
  s.run();
  auto writer = s.pack;
  const auto good = std::move(writer).finish();
  const auto with = [&](const std::function<void(std::string&)>& change) {
    auto bytes = good;
    change(bytes);
    return s.run_pack(bytes);
  };
  check_refused(with([](auto& b) { b.resize(b.size() / 2); }), "objects", "the pack");
  check_refused(with([](auto& b) { b.resize(10); }), "objects", "truncated");
  check_refused(with([](auto& b) { b += "tail"; }), "objects", "after its last object");
  check_refused(with([](auto& b) { b.back() = static_cast<char>(b.back() ^ 1); }), "objects",
                "checksum");
  check_refused(with([](auto& b) { b[7] = 3; }), "objects", "version 2");
  check_refused(with([](auto& b) { b[0] = 'K'; }), "objects", "no pack header");
  check_refused(with([](auto& b) { b[11] = static_cast<char>(b[11] + 1); }), "objects", "pack");
  check_refused(with([](auto& b) { b[11] = static_cast<char>(b[11] - 1); }), "objects",
                "after its last object");
  check_refused(with([](auto& b) { b[8] = '\x7f'; }), "objects", "objects (limit");
  const auto body = zlib_of("hello");
  check_refused(s.run_pack(hand_pack("\x34", body)), "objects", "longer than its declared");
  check_refused(s.run_pack(hand_pack("\x36", body)), "objects", "shorter than its declared");
  check_refused(s.run_pack(hand_pack("\x65", body)), "objects", "delta");
  check_refused(s.run_pack(hand_pack("\x75", body)), "objects", "delta");
  check_refused(s.run_pack(hand_pack("\x45", body)), "objects", "tag");
  check_refused(s.run_pack(hand_pack("\x55", body)), "objects", "unknown type");
  check_refused(s.run_pack(hand_pack("\x35", body + "\x35" + body, 2)), "objects", "twice");
  check_refused(s.run_pack(hand_pack("\x35", "not zlib at all")), "objects", "zlib");
  check_refused(
      s.run_pack(hand_pack(std::string("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), body)),
      "objects", "absurd");
  // A bomb: 64 MiB of zeros that declare themselves (refused before inflating), and that do not.
  const auto bomb = zlib_of(std::string(64 << 20, '\0'));
  check_refused(s.run_pack(hand_pack("\xb0\x80\x80\x80\x02", bomb)), "objects", "(limit 16777216)");
  check_refused(s.run_pack(hand_pack("\x3f", bomb)), "objects", "longer than its declared");
}

TEST_CASE("the context of a candidate") {
  const auto reject = [](const std::string& context, const std::string& says) {
    scene s;
    s.evolve();
    s.put(0100644, "agent_context.json", s.blob(context));
    check_refused(s.run(), "context", says);
  };
  reject("", "not JSON");
  reject("[]", "not a JSON object");
  reject(std::string(100'000, '['), "nests deeper");
  reject(R"({"history":[]})", "goalState");
  reject(R"({"goalState":"","history":{}})", "no array");
  reject(R"({"goalState":"","history":[{"timestamp":"","action":"","details":"","result":"ok"}]})",
         "\"success\" or \"failure\"");
  reject(R"({"goalState":"","history":[]})", "does not keep");
  reject(std::string(2 << 20, ' '), "(limit 1114112)");
  scene gone;
  gone.evolve();
  gone.drop("agent_context.json");
  check_refused(gone.run(), "context", "deleted");
  scene linked;
  linked.evolve();
  linked.put(0120000, "agent_context.json", linked.blob("src/a"));
  check_refused(linked.run(), "context", "not a regular file");
  scene below;
  below.job.context_path = "memory/context.json";
  below.evolve();
  below.put(0100644, "memory", below.blob("a file where the context's folder belongs"));
  check_refused(below.run(), "context", "'memory', where the context belongs, is not a folder");
}

TEST_CASE("a context commit changes the context alone") {
  const auto entry_of = [](const import_output& out, std::size_t index) {
    const auto view = git::pack_view::open(out.pack, {});
    for (const auto& [id, entry] : view->entries()) {
      if (entry.type != object_type::blob) continue;
      const auto json = nlohmann::json::parse(*view->read(entry), nullptr, false);
      if (json.is_object() && json["history"].size() > index &&
          json["history"].back()["action"] == "judged") {
        return json["history"][index]["action"].get<std::string>();
      }
    }
    return std::string("none");
  };
  const context_entry entry{"2026-01-01T00:00:00.000Z", "judged", false, "tests failed: x"};
  scene good;
  good.evolve();
  good.job.mode = import_mode::context_only;
  good.job.append = entry;
  const auto kept = good.run();
  REQUIRE(kept.verdict == import_verdict::context);
  CHECK(entry_of(kept, 1) == "learn");
  CHECK(entry_of(kept, 2) == "judged");
  CHECK(kept.raw_commit == good.job.candidate_commit);
  // The source is the parent's: only the context differs.
  scene none;
  none.job.mode = import_mode::context_only;
  none.job.append = entry;
  const auto alone = none.run_pack("");
  REQUIRE(alone.verdict == import_verdict::context);
  CHECK(alone.source_id == kept.source_id);
  CHECK(entry_of(alone, 1) == "judged");
  CHECK(alone.raw_commit.empty());
  // A hostile candidate: nothing of it is taken.
  scene bad;
  bad.evolve();
  bad.put(0100644, ".git", bad.blob("x"));
  bad.job.mode = import_mode::context_only;
  bad.job.append = entry;
  const auto refused = bad.run();
  REQUIRE(refused.verdict == import_verdict::context);
  CHECK(entry_of(refused, 1) == "judged");
  CHECK(refused.raw_commit.empty());
  CHECK_FALSE(refused.context_ok);
  CHECK(bad.run_pack("garbage").verdict == import_verdict::context);
}

TEST_CASE("for worktree genomes the entry is written into the candidate") {
  scene s;
  s.put(0100644, "src2", s.blob("two\n"));
  s.job.append = context_entry{"t", "evolved", true, "d"};
  const auto out = s.run();
  REQUIRE(out.verdict == import_verdict::candidate);
  scene plain;
  plain.put(0100644, "src2", plain.blob("two\n"));
  CHECK(plain.run().source_id == out.source_id);
  CHECK(plain.run().tree != out.tree);
}
