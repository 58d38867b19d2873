#include "common/git/repository.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/git/pack_merge.hpp"
#include "common/git/pack_writer.hpp"
#include "common/git/source_id.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::git;

namespace {

/// Runs a shell command; for making the repositories that users would have.
void sh(const std::string& command) {
  const auto whole =
      "export GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent GIT_AUTHOR_NAME=a "
      "GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; " +
      command + " >/dev/null 2>&1";
  CAPTURE(command);
  REQUIRE(std::system(whole.c_str()) == 0);
}

std::string user_repository(const tests::temp_dir& dir) {
  const auto path = dir.path() + "/user";
  sh("mkdir " + path + " && cd " + path +
     " && git init -q -b main && mkdir -p src protected && echo one >src/a && echo x >protected/run"
     " && echo 'schema = 1' >genome.toml && git add -A && git commit -qm first"
     " && echo two >src/a && git commit -qam second && git branch other HEAD~1");
  return path;
}

}  // namespace

TEST_CASE("a branch is imported, read, and its refs move by compare-and-swap") {
  const tests::temp_dir dir;
  const auto user = user_repository(dir);
  auto store = repository::init_bare(dir.path() + "/store.git");
  REQUIRE(store);
  const auto taken = store->import_branch(user, "");
  REQUIRE(taken);
  CHECK(taken->branch == "main");
  const auto head = taken->commit;
  CHECK(*store->read_file_at(head, "src/a", 100) == "two\n");
  CHECK(store->read_file_at(head, "src/a", 2).error().code() == error_code::resource_exhausted);
  CHECK(store->read_file_at(head, "src/b", 9).error().code() == error_code::not_found);
  CHECK(store->read_file_at(head, "src", 9).error().code() == error_code::invalid_argument);
  const auto files = store->list_tree(head);
  REQUIRE(files);
  REQUIRE(files->size() == 3);
  CHECK((*files)[2].path == "src/a");
  CHECK((*files)[2].size_bytes == 4);
  CHECK(store->list_tree(head, 2).error().code() == error_code::resource_exhausted);
  const auto history = store->log(head, 10);
  REQUIRE(history);
  REQUIRE(history->size() == 2);
  CHECK((*history)[1].message == "first\n");
  const auto old = (*history)[1].id;
  CHECK(store->diff_text(old, head, 10'000)->find("-one\n+two\n") != std::string::npos);
  CHECK(store->diff_text(old, head, 60)->find("goes on") != std::string::npos);
  CHECK(*store->is_ancestor(old, head));
  CHECK_FALSE(*store->is_ancestor(head, old));

  const std::string ref = "refs/heads/lineages/x";
  CHECK_FALSE(store->resolve(ref)->has_value());
  REQUIRE(store->update_ref(ref, old, zero_oid));
  CHECK(store->update_ref(ref, head, zero_oid).error().code() == error_code::failed_precondition);
  CHECK(store->update_ref(ref, old, head).error().code() == error_code::failed_precondition);
  CHECK(**store->resolve(ref) == old);
  REQUIRE(store->update_ref(ref, head, old));
  CHECK(**store->resolve(ref) == head);
  CHECK(store->list_refs("refs/heads/lineages/")->size() == 1);
  CHECK(store->delete_ref(ref, old).error().code() == error_code::failed_precondition);
  REQUIRE(store->delete_ref(ref, head));
  REQUIRE(store->delete_ref(ref, head));
  CHECK(store->list_refs("refs/")->empty());
}

TEST_CASE("what is not committed is told, of the branch that is checked out") {
  const tests::temp_dir dir;
  const auto repo = dir.path() + "/dirty";
  const auto within = "cd " + repo + " && ";
  sh("git init -q -b main " + repo);
  sh(within + "mkdir -p sub new && touch a b sub/c && echo '*.o' > .gitignore && git add -A && " +
     "git -c user.name=u -c user.email=u@e commit -qm one && git branch other");
  repository::user_settings user;
  const auto told = [&](const std::string& branch, const std::string& folder) {
    const auto files = repository::uncommitted(repo, branch, folder, user);
    REQUIRE(files);
    return *files;
  };
  CHECK(told("main", "").empty());
  sh(within + "echo x > a && rm b && touch sub/d new/e x.o && git add sub/d");
  CHECK(told("main", "") == std::vector<std::string>{"a", "b", "new/", "sub/d"});
  CHECK(told("main", "sub") == std::vector<std::string>{"sub/d"});
  CHECK(told("other", "").empty());
  const auto home = dir.path() + "/home";
  std::filesystem::create_directories(home + "/.config/git");
  std::ofstream(home + "/.gitconfig") << "[core]\nexcludesFile = ~/mine\n";
  std::ofstream(home + "/mine") << "new\n";
  std::ofstream(home + "/.config/git/ignore") << "d\n";
  user.home = home;
  CHECK(told("main", "") == std::vector<std::string>{"a", "b", "sub/d"});
  sh(within + "touch sub/q && git rm -q --cached sub/d");
  user = {"", home + "/.config/git"};
  CHECK(told("main", "sub") == std::vector<std::string>{"sub/q"});
  user = {};
  CHECK(told("main", "sub") == std::vector<std::string>{"sub/d", "sub/q"});
  sh(within + "git checkout -q --detach");
  CHECK(told("main", "").empty());
}

TEST_CASE("errors about a user's repository say what would be right") {
  const tests::temp_dir dir;
  auto store = repository::init_bare(dir.path() + "/store.git");
  REQUIRE(store);
  CHECK(store->import_branch(dir.path() + "/none", "")
            .error()
            .message()
            .find("is not a git repository") != std::string::npos);
  const auto user = user_repository(dir);
  CHECK(store->import_branch(user, "mian").error().message().find("it has: main, other") !=
        std::string::npos);
  sh("git init -q -b main " + dir.path() + "/empty");
  CHECK(store->import_branch(dir.path() + "/empty", "")
            .error()
            .message()
            .find("has no commit yet; commit the genome first") != std::string::npos);
  sh("git clone -q --depth 1 file://" + user + " " + dir.path() + "/shallow");
  CHECK(store->import_branch(dir.path() + "/shallow", "")
            .error()
            .message()
            .find("git fetch --unshallow") != std::string::npos);
  sh("cd " + user + " && git checkout -q --detach");
  CHECK(store->import_branch(user, "").error().message().find("detached") != std::string::npos);
  sh("cd " + user +
     " && git checkout -q main && git update-index --add --cacheinfo "
     "160000,1111111111111111111111111111111111111111,sub && git commit -qm sub");
  CHECK(store->import_branch(user, "main").error().message().find("is a submodule") !=
        std::string::npos);
}

TEST_CASE("packs travel from one store to another, and git reads them") {
  const tests::temp_dir dir;
  const auto user = user_repository(dir);
  auto store = repository::init_bare(dir.path() + "/store.git");
  const auto head = store->import_branch(user, "main")->commit;
  const auto old = store->import_branch(user, "other")->commit;
  const auto base = store->make_pack({old}, {});
  const auto step = store->make_pack({head}, {old, std::string(40, '1')});
  REQUIRE(base);
  REQUIRE(step);
  CHECK(step->size() < base->size());
  CHECK(*store->make_pack({head}, {old, std::string(40, '1')}) == *step);
  std::string streamed;
  REQUIRE(store->write_pack({head}, {old}, 1 << 20, [&](std::string_view bytes) -> result<void> {
    streamed += bytes;
    return {};
  }));
  CHECK(streamed == *step);
  const error full(error_code::resource_exhausted, "the disk is full");
  CHECK(store->write_pack({head}, {}, 1 << 20, [&](std::string_view) { return full; })
            .error()
            .message() == full.message());
  const std::vector<std::string> known = {old, std::string(40, '1'), head, "no id"};
  CHECK(*store->reached_among({head}, known) == std::vector<std::string>{head, old});
  CHECK(*store->reached_among({old}, known) == std::vector<std::string>{old});
  CHECK(store->make_pack({std::string(40, '1')}, {}).error().code() == error_code::not_found);
  CHECK(store->make_pack({head}, {}, 10).error().code() == error_code::resource_exhausted);

  auto other = repository::init_bare(dir.path() + "/other.git");
  // Without its base the pack refers to what is not there, and nothing of it stays.
  CHECK(other->ingest_pack(*step, {}).error().message().find("neither in it nor in the store") !=
        std::string::npos);
  CHECK_FALSE(other->has_object(head));
  REQUIRE(other->ingest_pack(*base, {}));
  REQUIRE(other->ingest_pack(*step, {}));
  REQUIRE(other->ingest_pack(*step, {}));
  REQUIRE(other->ingest_pack("", {}));
  CHECK(other->read_commit(head)->parents == std::vector<std::string>{old});
  REQUIRE(other->update_ref("refs/heads/main", head, zero_oid));
  sh("git -C " + dir.path() + "/other.git fsck --strict --full");
  for (const auto& file : std::filesystem::directory_iterator(dir.path() + "/other.git")) {
    CHECK(file.path().string().find("quarantine") == std::string::npos);
  }
}

TEST_CASE("a pack and what stands on it become one, in which git finds everything once") {
  const tests::temp_dir dir;
  const auto user = user_repository(dir);
  auto store = repository::init_bare(dir.path() + "/store.git");
  const auto head = store->import_branch(user, "main")->commit;
  const auto old = store->import_branch(user, "other")->commit;
  const auto base = store->make_pack({old}, {});
  const auto step = store->make_pack({head}, {old});
  const auto merged = [](std::string_view first, std::string_view second) -> result<std::string> {
    std::string pack;
    GERMLINE_TRY(merge_packs(first, second, [&](std::string_view bytes) -> result<void> {
      pack += bytes;
      return {};
    }));
    return pack;
  };
  const auto whole = merged(*base, *step);
  REQUIRE(whole);
  auto other = repository::init_bare(dir.path() + "/other.git");
  REQUIRE(other->ingest_pack(*whole, {}));
  REQUIRE(other->update_ref("refs/heads/main", head, zero_oid));
  sh("git -C " + dir.path() + "/other.git fsck --strict --full");
  CHECK(*other->make_pack({head}, {}) == *store->make_pack({head}, {}));
  CHECK(*merged(*whole, *step) == *whole);  // nothing twice
  const auto incomplete = merged("", *step);
  REQUIRE_FALSE(incomplete);
  CHECK(incomplete.error().code() == error_code::data_loss);
  CHECK(incomplete.error().message().find("which did not come") != std::string::npos);
  CHECK_FALSE(merged(whole->substr(0, whole->size() - 1), *step));
}

TEST_CASE("a store judges the trees of a pack again") {
  const tests::temp_dir dir;
  auto store = repository::init_bare(dir.path() + "/store.git");
  pack_writer pack;
  const auto blob = pack.add(object_type::blob, "x");
  pack.add(object_type::tree, write_tree({{0100644, ".GIT", blob}}));
  const auto refused = store->ingest_pack(std::move(pack).finish(), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find(".git") != std::string::npos);
  CHECK_FALSE(store->has_object(blob.hex()));
}

TEST_CASE("commits are written, files replaced, and branches delivered") {
  const tests::temp_dir dir;
  const auto user = user_repository(dir);
  auto store = repository::init_bare(dir.path() + "/store.git");
  const auto head = store->import_branch(user, "main")->commit;
  const auto old = store->log(head, 2)->back().id;
  for (const std::string path : {".git/hooks/x", "a/.GIT", "a//b", "../a", ""}) {
    CHECK(store->replace_file(head, path, "{}").error().code() == error_code::invalid_argument);
  }
  const auto tree = store->replace_file(head, "agent_context.json", "{}");
  REQUIRE(tree);
  const auto made =
      store->write_commit({*tree, {head}, "W", "w@x", "subject\n\nKey: v\n", 1'700'000'000});
  REQUIRE(made);
  CHECK(*store->read_file_at(*made, "agent_context.json", 9) == "{}");
  CHECK(store->read_commit(*made)->message == "subject\n\nKey: v\n");
  CHECK(store->read_commit(*made)->time_s == 1'700'000'000);
  // A rollback: the old source with the newest context.
  const auto back = store->tree_with_file_from(old, "agent_context.json", *made);
  const auto rolled = store->write_commit({*back, {*made}, "W", "w@x", "rollback", 1});
  CHECK(*store->read_file_at(*rolled, "src/a", 9) == "one\n");
  CHECK(*store->read_file_at(*rolled, "agent_context.json", 9) == "{}");

  auto home = repository::open(user);
  REQUIRE(home);
  const auto pack = store->make_pack({*rolled}, {head});
  REQUIRE(home->deliver(*rolled, *pack, "evolved"));
  sh("cd " + user + " && test $(git rev-parse evolved) = " + *rolled +
     " && test $(git show evolved:src/a) = one && git fsck --strict");
  REQUIRE(home->deliver(*rolled, "", "evolved"));  // it is there
  CHECK(home->deliver(*rolled, *pack, "main").error().message().find("checked out") !=
        std::string::npos);
  CHECK(home->deliver(head, "", "evolved").error().code() == error_code::failed_precondition);
  CHECK(home->deliver(*rolled, *pack, "a..b").error().code() == error_code::invalid_argument);
  sh("cd " + user + " && git branch old HEAD~1 && git worktree add -q ../beside old");
  CHECK(home->deliver(*rolled, *pack, "old").error().code() == error_code::failed_precondition);
  // What comes to one working tree is there for all.
  auto beside = repository::open(dir.path() + "/beside");
  REQUIRE(beside);
  const auto more = store->write_commit({*back, {*rolled}, "W", "w@x", "more", 2});
  REQUIRE(beside->deliver(*more, *store->make_pack({*more}, {*rolled}), "inside"));
  sh("cd " + user + " && test $(git rev-parse inside) = " + *more + " && git fsck --strict");
  sh("cd " + user + " && git worktree remove ../beside");
  REQUIRE(home->deliver(*rolled, *pack, "old"));
  sh("cd " + user + " && test $(git rev-parse old) = " + *rolled);
}

TEST_CASE("the source id leaves the context out, and nothing else") {
  const tests::temp_dir dir;
  const auto user = user_repository(dir);
  auto store = repository::init_bare(dir.path() + "/store.git");
  const auto head = store->import_branch(user, "main")->commit;
  const auto id_of = [&](const std::string& commit, const std::string& context) {
    const auto id = store->source_id_of(commit, "", context);
    REQUIRE(id);
    return *id;
  };
  const auto with_file = [&](const std::string& path, const std::string& text) {
    return *store->write_commit({*store->replace_file(head, path, text), {head}, "a", "b", "c", 1});
  };
  for (const std::string context : {"agent_context.json", "memory/context.json"}) {
    CHECK(id_of(head, context) == id_of(with_file(context, "1"), context));
    CHECK(id_of(with_file(context, "1"), context) == id_of(with_file(context, "2"), context));
    CHECK(id_of(head, context) != id_of(with_file("src/b", "1"), context));
  }
  CHECK(store->source_id_of(head, "no", "c").error().code() == error_code::not_found);
  CHECK(*store->source_id_of(head, "src", "c") != id_of(head, "c"));
  CHECK(build_id("s", "b", "c", {"x"}) != build_id("s", "b", "c", {"x", "y"}));
  CHECK(build_id("s", "bc", "", {}) != build_id("s", "b", "c", {}));
}
