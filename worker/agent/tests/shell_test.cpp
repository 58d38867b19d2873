#include "shell.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "contains.hpp"
#include "temporary_folder.hpp"

using namespace agent;
using namespace std::chrono_literals;

namespace {
struct shell_fixture {
  temporary_folder folder;
  shell bash{folder.path()};
};
}  // namespace

TEST_CASE_FIXTURE(shell_fixture, "shell keeps directory and variables between commands") {
  std::filesystem::create_directory(folder.path() / "sub");
  bash.run("cd sub; export word=kept; f() { echo called; }", 5s);
  const auto second = bash.run("basename $PWD; echo $word; f", 5s);
  CHECK(second.output == "sub\nkept\ncalled\n");
  CHECK(second.exit_code == 0);
}

TEST_CASE_FIXTURE(shell_fixture, "shell gives stdout and stderr in order and the exit code") {
  const auto done = bash.run("echo out; echo err >&2; (exit 7)", 5s);
  CHECK(done.output == "out\nerr\n");
  CHECK(done.exit_code == 7);
}

TEST_CASE_FIXTURE(shell_fixture, "shell stops a command at its limit and stays usable") {
  bash.run("word=kept", 5s);
  for (const auto* command :
       {"sleep 60; echo after", "while :; do :; done", "(while :; do :; done)"}) {
    const auto done = bash.run(command, 300ms);
    CHECK(done.timed_out);
    CHECK_FALSE(done.shell_ended);
    CHECK_FALSE(contains(done.output, "after"));
  }
  CHECK(bash.run("echo $word", 5s).output == "kept\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell kills a command that ignores the interrupt") {
  const auto done = bash.run("bash -c 'trap \"\" INT; sleep 60'", 300ms);
  CHECK(done.timed_out);
  CHECK_FALSE(done.shell_ended);
  CHECK(bash.run("echo usable", 5s).output == "usable\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell keeps background jobs over calls and over a timeout") {
  bash.run("sleep 60 & job=$!", 5s);
  bash.run("sleep 60", 300ms);
  CHECK(bash.run("kill -0 $job && echo alive", 5s).output == "alive\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell does not wait for a background job that holds the output") {
  const auto done = bash.run("sleep 60 & echo now", 5s);
  CHECK_FALSE(done.timed_out);
  CHECK(contains(done.output, "now\n"));
}

TEST_CASE_FIXTURE(shell_fixture, "shell survives exit with a new shell") {
  const auto done = bash.run("exit 3", 5s);
  CHECK(done.shell_ended);
  CHECK(bash.run("echo again", 5s).output == "again\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell survives a syntax error and set -e") {
  CHECK(bash.run("if true; then", 5s).exit_code != 0);
  bash.run("set -e; false", 5s);
  CHECK(bash.run("echo again", 5s).output == "again\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell restart ends what it started") {
  bash.run("sleep 61.25 & word=lost", 5s);
  bash.restart();
  CHECK(bash.run("echo [$word]; pgrep -f 'sleep 61[.]25' || echo gone", 5s).output == "[]\ngone\n");
}

TEST_CASE_FIXTURE(shell_fixture, "shell bounds a flood and gives an empty stdin") {
  const auto done = bash.run("cat; head -c 3000000 /dev/zero | tr '\\0' x; echo end", 20s);
  CHECK(done.output.size() < 30'000);
  CHECK(contains(done.output, "bytes cut"));
  CHECK(done.output.ends_with("end\n"));
}
