#include "task_mode.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "json.hpp"
#include "temporary_folder.hpp"

using namespace agent;

namespace {

// What is answered, where the time to solve is up at once, so that no model is asked.
std::vector<json> answers(const std::vector<json>& requests) {
  temporary_folder folder;
  std::stringstream in, out;
  for (const auto& request : requests) in << request.text() << "\n";
  serve_tasks(in, out, folder.path());
  std::vector<json> said;
  for (std::string line; std::getline(out, line);) said.push_back(*json::parse(line));
  REQUIRE(said.size() == requests.size());
  return said;
}

json program(const std::string& script) {
  const auto file = json::of({{"path", "bin/x"}, {"text", script}, {"executable", true}});
  return json::of({{"id", 7},
                   {"do", "solve"},
                   {"files", json::list({file})},
                   {"run", json::list({"bin/x", "first"})},
                   {"test", "true"},
                   {"seconds", 0}});
}

json input(const std::string& text, int seconds = 20) {
  return json::of({{"id", 8},
                   {"do", "run"},
                   {"arguments", json::list({"two words", ""})},
                   {"stdin", text},
                   {"seconds", seconds}});
}

}  // namespace

TEST_CASE("task mode runs the program with its arguments and its input") {
  const auto said = answers({program("#!/bin/sh\nprintf '%s|' \"$@\"; cat; echo no >&2; exit 3\n"),
                             input("a\r\n\xc3\xa4")});
  CHECK(said[0].text() == R"({"id":7})");
  CHECK(said[1]["id"].integer_or() == 8);
  CHECK(said[1]["stdout"].string_or() == "first|two words||a\r\n\xc3\xa4");
  CHECK(said[1]["exit"].integer_or() == 3);
}

TEST_CASE("task mode keeps what a run leaves and forgets it with the task") {
  const auto count = program("#!/bin/sh\necho x >> seen; wc -l < seen\n");
  const auto said = answers({count, input(""), input(""), count, input("")});
  CHECK(said[2]["stdout"].string_or() == "2\n");
  CHECK(said[4]["stdout"].string_or() == "1\n");
}

TEST_CASE("task mode bounds the time and the output of a run") {
  const auto said = answers({program("#!/bin/sh\nread -r word; $word\n"), input("sleep 60\n", 1),
                             input("yes\n"), input("true\n")});
  CHECK(said[1].has("problem"));
  CHECK(said[2]["exit"].integer_or() != 0);
  CHECK(said[2]["stdout"].string_or().size() <= 1 << 20);
  CHECK(said[3]["exit"].integer_or(-1) == 0);
}

TEST_CASE("task mode answers with the output of the run that was asked for, or with none") {
  const auto said =
      answers({program("#!/bin/sh\necho once; rm -r ../repository\n"), input(""), input("")});
  CHECK(said[1]["stdout"].string_or() == "once\n");
  CHECK(said[2].has("problem"));
}

TEST_CASE("task mode lays no file out beside the repository") {
  for (const auto* path : {"../x", "a/../../x", "/tmp/x", "", "a/", ".."}) {
    auto request = program("");
    request["files"] = json::list({json::of({{"path", path}, {"text", "x"}})});
    const auto said = answers({program("#!/bin/sh\n"), request, input("")});
    const auto why = "'" + std::string(path) + "' is no path of a file within the repository";
    CHECK(said[1]["problem"].string_or() == why);
    CHECK(said[2].has("problem"));
  }
}

TEST_CASE("task mode answers what it cannot do") {
  for (const auto& line : {json(), json::of({{"id", 1}, {"do", "dance"}}), input("")}) {
    CHECK(answers({line})[0].has("problem"));
  }
}
