#include <doctest/doctest.h>

#include <sys/stat.h>

#include "contains.hpp"
#include "files.hpp"
#include "temporary_folder.hpp"
#include "tool.hpp"

using namespace agent;

namespace {
struct tool_fixture {
  temporary_folder folder;
  task work;
  shell bash{folder.path()};
  tool_env env{work, bash};
  std::vector<tool> tools = all_tools(env);

  tool_fixture() { work.workspace = folder.path(); }
  tool_result edit(const json& input) {
    return call_tool(tools, "str_replace_based_edit_tool", input);
  }
  std::string content(const char* name) { return *read_file(folder.path() / name); }
};
}  // namespace

TEST_CASE_FIXTURE(tool_fixture, "create makes folders and refuses to overwrite") {
  const auto input =
      json::of({{"command", "create"}, {"path", "a/b/c.txt"}, {"file_text", "one\n"}});
  CHECK_FALSE(edit(input).is_error);
  auto again = input;
  again["file_text"] = "two\n";
  const auto refused = edit(again);
  CHECK(refused.is_error);
  CHECK(contains(refused.text, "exists already"));
  CHECK(content("a/b/c.txt") == "one\n");
}

TEST_CASE_FIXTURE(tool_fixture, "write replaces a file keeps its mode and names a backup") {
  setenv("HOME", folder.path().c_str(), 1);
  write_file(folder.path() / "f", "old");
  chmod((folder.path() / "f").c_str(), 0755);
  const auto done = edit(json::of({{"command", "write"}, {"path", "f"}, {"file_text", "new"}}));
  CHECK_FALSE(done.is_error);
  CHECK(content("f") == "new");
  CHECK(content(".agent-backups/f.1") == "old");
  struct stat about {};
  stat((folder.path() / "f").c_str(), &about);
  CHECK((about.st_mode & 0777) == 0755);
}

TEST_CASE_FIXTURE(tool_fixture, "str_replace edits a file in place") {
  write_file(folder.path() / "f", "a\tone\r\nb\r\n");
  CHECK_FALSE(
      edit(json::of(
               {{"command", "str_replace"}, {"path", "f"}, {"old_str", "one"}, {"new_str", "two"}}))
          .is_error);
  CHECK(content("f") == "a\ttwo\r\nb\r\n");
}

TEST_CASE_FIXTURE(tool_fixture, "insert takes insert_text or new_str") {
  write_file(folder.path() / "f", "b\n");
  edit(
      json::of({{"command", "insert"}, {"path", "f"}, {"insert_line", 0}, {"insert_text", "a\n"}}));
  edit(json::of({{"command", "insert"}, {"path", "f"}, {"insert_line", 2}, {"new_str", "c\n"}}));
  CHECK(content("f") == "a\nb\nc\n");
}

TEST_CASE_FIXTURE(tool_fixture, "view shows numbered lines ranges and folders two deep") {
  write_file(folder.path() / "x/y/z/deep", "1");
  write_file(folder.path() / "x/file", "one\ntwo\n");
  CHECK(edit(json::of({{"command", "view"}, {"path", "x/file"}})).text == "1\tone\n2\ttwo\n");
  CHECK(
      edit(json::of({{"command", "view"}, {"path", "x/file"}, {"view_range", json::list({2, -1})}}))
          .text == "2\ttwo\n");
  const auto folder_text = edit(json::of({{"command", "view"}, {"path", "."}})).text;
  CHECK(contains(folder_text, "x/y/\n"));
  CHECK_FALSE(contains(folder_text, "deep"));
  CHECK(edit(json::of({{"command", "view"}, {"path", "nothing"}})).is_error);
}

TEST_CASE_FIXTURE(tool_fixture, "wrong calls are answered with what would be right") {
  CHECK(contains(edit(json::of({{"command", "view"}})).text, "'path' is missing"));
  CHECK(contains(edit(json::of({{"command", "paint"}, {"path", "f"}})).text, "no command 'paint'"));
  CHECK(contains(edit(json::of({{"command", 3}, {"path", "f"}})).text, "not of type string"));
  CHECK(contains(edit(json::of({{"command", "view"}, {"path", "f"}, {"colour", "red"}})).text,
                 "no member 'colour'"));
  CHECK(contains(edit("text").text, "not a JSON object"));
  CHECK(contains(call_tool(tools, "paint", json::of()).text, "The tools are: bash"));
}

TEST_CASE_FIXTURE(tool_fixture, "build and test run the commands of the task") {
  work.build_command = "echo building; exit 3";
  work.test_command = "echo testing";
  const auto build = call_tool(tools, "build", json::of());
  CHECK(build.is_error);
  CHECK(build.text == "building\n\n[exit 3]");
  const auto test = call_tool(tools, "test", json::of());
  CHECK_FALSE(test.is_error);
  CHECK(test.text == "testing\n\n[exit 0]");
}

TEST_CASE_FIXTURE(tool_fixture, "bash tool reports the exit code and stops at timeout_s") {
  CHECK(call_tool(tools, "bash", json::of({{"command", "echo hi; false"}})).text == "hi\n[exit 1]");
  const auto stopped =
      call_tool(tools, "bash", json::of({{"command", "sleep 900"}, {"timeout_s", 1}}));
  CHECK(stopped.is_error);
  CHECK(contains(stopped.text, "the shell is usable"));
  CHECK(call_tool(tools, "bash", json::of({{"restart", true}})).text == "A new shell was started.");
}
