#include "worker/node/deps.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "common/artefact/tar.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::worker;
using germline::tests::temp_dir;

namespace {

std::string tar_of(const std::vector<artefact::file>& files) {
  std::string tar;
  REQUIRE(artefact::write_tar(files, [&](std::string_view bytes) -> result<void> {
    tar += bytes;
    return {};
  }));
  return tar;
}

/// What a process of a sandbox prints, and how it ends.
struct fate {
  std::string prints;
  int code = 0;
  std::string complains = {};
};
using script = std::function<result<fate>(const std::string& words)>;

class scripted_sandbox final : public sandbox {
 public:
  explicit scripted_sandbox(const script& how) : how_(how) {}
  result<process_handle> start(process_spec spec) override {
    std::string words;
    for (const auto& word : spec.argv) words += word + " ";
    GERMLINE_TRY_ASSIGN(const auto told, how_(words));
    if (!told.prints.empty()) {
      REQUIRE(::write(spec.stdout_fd.get(), told.prints.data(), told.prints.size()) ==
              static_cast<ssize_t>(told.prints.size()));
    }
    if (!told.complains.empty()) {
      REQUIRE(::write(spec.stderr_fd.get(), told.complains.data(), told.complains.size()) ==
              static_cast<ssize_t>(told.complains.size()));
    }
    code_ = told.code;
    return process_handle{1};
  }
  result<process_outcome> wait(process_handle, std::int64_t) override {
    process_outcome outcome;
    outcome.code = code_;
    return outcome;
  }
  result<void> signal(process_handle, int) override { return {}; }
  result<sandbox_usage> read_usage() override { return sandbox_usage(); }
  result<void> renew(std::int64_t) override { return {}; }
  result<kill_report> kill() override { return kill_report{true, 0}; }
  result<void> destroy() override { return {}; }
  unique_fd take_gateway_listener() override { return {}; }

 private:
  const script& how_;
  int code_ = 0;
};

class scripted_backend final : public sandbox_backend {
 public:
  result<std::unique_ptr<sandbox>> prepare(const sandbox_policy& policy) override {
    prepared.push_back(policy.spec());
    return std::unique_ptr<sandbox>(std::make_unique<scripted_sandbox>(how));
  }
  result<void> recover() override { return {}; }
  script how;
  std::vector<sandbox_policy_spec> prepared;
};

class telling_mirrors final : public mirror_access {
 public:
  bool has(const std::string& mirror) const override { return mirror == "npm"; }
  result<void> open(mirror_grant grant, unique_fd) override {
    opened.push_back(std::move(grant));
    return {};
  }
  result<void> renew(const std::string&, std::int64_t deadline_boot_ms) override {
    renewed.push_back(deadline_boot_ms);
    return {};
  }
  result<mirror_account> close(const std::string&) override {
    ++closed;
    return account;
  }
  std::vector<mirror_grant> opened;
  std::vector<std::int64_t> renewed;
  mirror_account account;
  int closed = 0;
};

struct fixture {
  fixture() {
    auto opened = layer_cache::open(dir.path(), 1 << 20);
    REQUIRE(opened);
    layers = std::move(*opened);
    commands.deps.files = {"package.json"};
    commands.deps.command = "fetch them";
    commands.deps.mirrors = {"npm"};
    backend.how = [this](const std::string& words) -> result<fate> {
      if (words.find("-C /workspace -cf") != words.npos) return fate{tar_of(seed)};
      if (words.find("fetch them") != words.npos) {
        ++fetches;
        return during();
      }
      if (words.find("-C /deps -cf") != words.npos) return fate{left, 0, tar_says};
      return fate{};
    };
  }
  result<deps_answer> get(mirror_access* through) {
    deps_store store(*layers, through, {});
    sandbox_set sandboxes(backend, time, time.boot_ms() + 60'000);
    deps_fetch fetch(&store, sandboxes, time.boot_ms() + 60'000);
    during = [&] {
      fetch.renew(time.boot_ms() + 90'000);
      if (kills) sandboxes.cancel("killed");
      return kills ? result<fate>(error(error_code::unavailable, "ended"))
                   : result<fate>(fate{"its words", code});
    };
    deps_wish wish;
    wish.commands = &commands;
    wish.pack = "PACK";
    wish.commit = std::string(40, 'a');
    wish.base_digest = "base";
    wish.attempt_id = "att_1";
    wish.is_resumed = true;
    return fetch.get(wish, [&](const std::string& status, const std::string& detail) {
      steps += status + " ";
      said = detail;
    });
  }
  std::string refused(const result<deps_answer>& got) const {
    REQUIRE_MESSAGE(got, got.error().message());
    REQUIRE(got->refused);
    CHECK(got->refused->reason == "deps");
    CHECK_FALSE(bool(got->layer));
    return got->refused->details;
  }

  temp_dir dir;
  system_clock_source time;
  std::unique_ptr<layer_cache> layers;
  scripted_backend backend;
  telling_mirrors mirrors;
  genome_commands commands;
  std::vector<artefact::file> seed{{"package.json", false, "{}"}};
  std::string left = tar_of({{"package.json", false, "{}"}, {"tool", true, "#!/bin/sh\n"}});
  std::function<result<fate>()> during;
  std::string tar_says;
  std::string steps, said;
  int fetches = 0;
  int code = 0;
  bool kills = false;
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "what the command leaves is kept, and the mirror is open meanwhile") {
  const auto got = get(&mirrors);
  REQUIRE_MESSAGE(got, got.error().message());
  REQUIRE_FALSE(got->refused);
  CHECK(std::filesystem::exists(got->layer.tree_path() + "/tool"));
  CHECK(steps == "started done ");
  REQUIRE(mirrors.opened.size() == 1);
  CHECK(mirrors.opened[0].mirrors == std::vector<std::string>{"npm"});
  CHECK(mirrors.opened[0].deadline_boot_ms <= time.boot_ms() + 60'000);
  CHECK(mirrors.renewed.size() == 1);
  CHECK(mirrors.closed == 1);
  REQUIRE(backend.prepared.size() == 2);
  CHECK(backend.prepared[0].gateway_port == 0);  // who reads the files has no listener
  CHECK(backend.prepared[1].gateway_port != 0);
  CHECK(backend.prepared[1].mounts.empty());
  // Kept: nothing is run, and no mirror is needed.
  REQUIRE(get(nullptr));
  CHECK(fetches == 1);
}

TEST_CASE_FIXTURE(fixture, "without the mirror it is no verdict, and says what is missing") {
  const auto got = get(nullptr);
  REQUIRE_FALSE(got);
  CHECK(got.error().code() == error_code::failed_precondition);
  CHECK(got.error().message() ==
        "this worker has no mirror `npm`, which [deps] of the genome fetches from: start "
        "`germline up` with --mirror npm=URL; then germline resume");
  CHECK(fetches == 0);
}

TEST_CASE_FIXTURE(fixture, "a command that fails refuses, but not where the mirror failed it") {
  code = 3;
  const auto why = refused(get(&mirrors));
  CHECK(why.find("`fetch them` ended with exit code 3") != std::string::npos);
  CHECK(why.find("its words") != std::string::npos);
  CHECK(steps == "started failed ");

  mirrors.account.past_bound = "20 requests";
  CHECK(refused(get(&mirrors)).find("past its bound of 20 requests") != std::string::npos);

  mirrors.account.trouble = "/npm/quince: HTTP 503";
  const auto away = get(&mirrors);
  REQUIRE_FALSE(away);
  CHECK(away.error().code() == error_code::unavailable);
  CHECK(away.error().message().find("HTTP 503") != std::string::npos);
  // What came in the end is what counts.
  code = 0;
  CHECK_FALSE(get(&mirrors)->refused);
}

TEST_CASE_FIXTURE(fixture, "what the mirror refuses for good is told, and is a verdict") {
  code = 1;
  mirrors.account.refused = "/npm/quince: the mirror redirects to elsewhere.example";
  CHECK(refused(get(&mirrors)).starts_with(mirrors.account.refused + "\n"));
  mirrors.account.trouble = "/npm/other: HTTP 503";  // which may be why the command failed
  const auto got = get(&mirrors);
  REQUIRE_FALSE(got);
  CHECK(got.error().code() == error_code::unavailable);
}

TEST_CASE_FIXTURE(fixture, "a socket that the command leaves is named, and not kept") {
  tar_says = "tar: ./run/it: socket ignored\ntar: something else\n";
  const auto got = get(&mirrors);
  REQUIRE(got);
  CHECK_FALSE(got->refused);
  CHECK(steps == "started done ");
  CHECK(said == "a socket is not kept: run/it");
  tar_says.clear();
  for (int i = 0; i < 25; ++i) tar_says += "tar: ./s" + std::to_string(i) + ": socket ignored\n";
  commands.deps.command = "fetch them again";
  REQUIRE(get(&mirrors));
  CHECK(said.ends_with("s19\nand 5 more"));
}

TEST_CASE_FIXTURE(fixture, "a kill is no verdict, and closes the mirror") {
  kills = true;
  const auto got = get(&mirrors);
  REQUIRE_FALSE(got);
  CHECK(mirrors.closed == 1);
}

TEST_CASE_FIXTURE(fixture, "files that the seed lacks, and what cannot be kept, are refused") {
  commands.deps.files = {"package.json", "package-lock.json"};
  CHECK(refused(get(&mirrors)).find("'package-lock.json', which is no file of the seed") !=
        std::string::npos);
  commands.deps.files = {"package.json"};
  left = "this is no tar stream, and is long enough to be told from an empty one" +
         std::string(2'000, '!');
  CHECK(refused(get(&mirrors)).find("cannot be kept") != std::string::npos);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("the key tells names, contents, the command, the mirrors and the base apart") {
  deps_request deps;
  deps.files = {"package.json", "package-lock.json"};
  deps.command = "npm ci";
  deps.mirrors = {"npm"};
  const auto key = deps_key(deps, {"{}", "{ }"}, "base");
  std::set<std::string> keys{key};
  keys.insert(deps_key(deps, {"{ }", "{}"}, "base"));
  keys.insert(deps_key(deps, {"{}", "{  }"}, "base"));
  keys.insert(deps_key(deps, {"{}", "{ }"}, "another base"));
  auto other = deps;
  other.command = "npm ci ";
  keys.insert(deps_key(other, {"{}", "{ }"}, "base"));
  other = deps;
  other.mirrors = {"npm", "wheels"};
  keys.insert(deps_key(other, {"{}", "{ }"}, "base"));
  other = deps;
  other.files = {"package.json", "package-lock.jso"};
  keys.insert(deps_key(other, {"{}", "n{ }"}, "base"));
  CHECK(keys.size() == 7);
  // Orders say nothing, and neither do bounds.
  other = deps;
  other.files = {"package-lock.json", "package.json"};
  other.disk_bytes = 1 << 30;
  other.wall_time_ms = 5;
  CHECK(deps_key(other, {"{ }", "{}"}, "base") == key);
}
