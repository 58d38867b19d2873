#include "shell.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "contains.hpp"
#include "temporary_folder.hpp"

using namespace agent;
using namespace std::chrono_literals;

namespace {
// No test may depend on the machine's speed: what ends has plenty of time, what must be stopped
// runs longer than any test may.
constexpr auto plenty = 60s;
constexpr auto too_short = 300ms;

struct shell_fixture {
  temporary_folder folder;
  shell bash{folder.path()};
};
}  // namespace

TEST_CASE_FIXTURE(shell_fixture, "shell keeps directory and variables between commands") {
  std::filesystem::create_directory(folder.path() / "sub");
  bash.run("cd sub; export word=kept; f() { echo called; }", plenty);
  const auto second = bash.run("basename $PWD; echo $word; f", plenty);
  CHECK(second.output == "sub\nkept\ncalled\n");
  CHECK(second.exit_code == 0);
}

TEST_CASE_FIXTURE(shell_fixture, "shell gives stdout and stderr in order and the exit code") {
  const auto done = bash.run("echo out; echo err >&2; (exit 7)", plenty);
  CHECK(done.output == "out\nerr\n");
  CHECK(done.exit_code == 7);
}

TEST_CASE_FIXTURE(shell_fixture, "shell stops a command at its limit and stays usable") {
  bash.run("word=kept", plenty);
  for (const auto* command :
       {"sleep 900; echo after", "while :; do :; done", "(while :; do :; done)"}) {
    const auto done = bash.run(command, too_short);
    CHECK(done.timed_out);
    CHECK_FALSE(done.shell_ended);
    CHECK_FALSE(contains(done.output, "after"));
  }
  CHECK(bash.run("echo $word", plenty).output == "kept\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell kills a command that ignores the interrupt") {
  const auto done = bash.run("bash -c 'trap \"\" INT; sleep 900'", too_short);
  CHECK(done.timed_out);
  CHECK_FALSE(done.shell_ended);
  CHECK(bash.run("echo usable", plenty).output == "usable\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell kills what ignores the interrupt however long it ran") {
  const auto done = bash.run("bash -c 'trap \"\" INT; sleep 900'", 1500ms);
  CHECK(done.timed_out);
  CHECK_FALSE(done.shell_ended);
}

TEST_CASE_FIXTURE(shell_fixture, "shell keeps background jobs over calls and over a timeout") {
  bash.run("sleep 900 & job=$!", plenty);
  for (const auto* command : {"sleep 900", "bash -c 'trap \"\" INT; sleep 900'"}) {
    CHECK(bash.run(command, too_short).timed_out);
    CHECK(bash.run("kill -0 $job && echo alive", plenty).output == "alive\n");
  }
}

TEST_CASE_FIXTURE(shell_fixture, "shell does not take a late status for that of the next command") {
  bash.run("(exit 7)", plenty);
  bash.run("while :; do :; done", too_short);
  for (int status = 1; status < 20; ++status) {
    const auto done = bash.run("(exit " + std::to_string(status) + ")", plenty);
    CHECK(done.exit_code == status);
  }
}

TEST_CASE_FIXTURE(shell_fixture, "shell does not wait for a background job that holds the output") {
  const auto done = bash.run("sleep 900 & echo now", plenty);
  CHECK_FALSE(done.timed_out);
  CHECK(contains(done.output, "now\n"));
}

TEST_CASE_FIXTURE(shell_fixture, "shell survives exit with a new shell") {
  const auto done = bash.run("exit 3", plenty);
  CHECK(done.shell_ended);
  CHECK(bash.run("echo again", plenty).output == "again\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell survives a syntax error and set -e") {
  CHECK(bash.run("if true; then", plenty).exit_code != 0);
  bash.run("set -e; false", plenty);
  CHECK(bash.run("echo again", plenty).output == "again\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell restart ends what it started") {
  const auto job = bash.run("sleep 900 & word=lost; echo $!", plenty).output;
  bash.restart();
  CHECK(bash.run("echo [$word]", plenty).output == "[]\n");
  // A killed process is there for a moment yet; as a zombie for longer, where nobody waits for it.
  const auto gone = bash.run(
      "job=" + job + "while grep -qs '^State:.[^Z]' /proc/$job/status; do sleep 0.05; done",
      plenty);
  CHECK(gone.exit_code == 0);
}

TEST_CASE_FIXTURE(shell_fixture, "shell bounds a flood and gives an empty stdin") {
  const auto done = bash.run("cat; head -c 3000000 /dev/zero | tr '\\0' x; echo end", plenty);
  CHECK(done.output.size() < 30'000);
  CHECK(contains(done.output, "bytes cut"));
  CHECK(done.output.ends_with("end\n"));
}
