#include "memory.hpp"

#include <doctest/doctest.h>

#include "files.hpp"
#include "temporary_folder.hpp"

using namespace agent;

TEST_CASE("memory keeps members that it does not know") {
  temporary_folder folder;
  const auto path = (folder.path() / "context.json").string();
  write_file(path, R"({"extra": [1.5], "goalState": "g", "history": []})");
  auto loaded = memory::load(path);
  REQUIRE(loaded);
  loaded->add_entry("tried", "failure", "why");
  REQUIRE(loaded->save(path));
  const auto text = *read_file(path);
  CHECK(text.find("1.5") != std::string::npos);
  CHECK(text.find("\"failure\"") != std::string::npos);
}

TEST_CASE("memory without a file is empty and a broken file is an error") {
  temporary_folder folder;
  const auto path = (folder.path() / "context.json").string();
  CHECK(memory::load(path)->goal().empty());
  write_file(path, "{");
  CHECK_FALSE(memory::load(path));
}

TEST_CASE("memory folds the oldest entries into one summary and drops none silently") {
  memory remembered;
  for (int i = 0; i < 30; ++i) remembered.add_entry("act " + std::to_string(i), "success", "d");
  remembered.compact(40, 10);
  CHECK(remembered.entries() == 30);
  remembered.compact(20, 10);
  CHECK(remembered.entries() == 11);
  const auto text = remembered.recent(100);
  CHECK(text.find("summary of 20 earlier entries") != std::string::npos);
  CHECK(text.find("act 3\n") != std::string::npos);
  CHECK(text.find("act 29") != std::string::npos);
}
