#include "text_edit.hpp"

#include <doctest/doctest.h>

using namespace agent;

TEST_CASE("replace_once changes the one place and no other byte") {
  const auto done = replace_once("a\tb\nc\n", "a\tb", "x");
  REQUIRE(done);
  CHECK(*done == "x\nc\n");
}

TEST_CASE("replace_once refuses a text that occurs twice and names the lines") {
  const auto done = replace_once("one\ntwo\none\n", "one", "three");
  REQUIRE_FALSE(done);
  CHECK(done.why().find("2 times") != std::string::npos);
  CHECK(done.why().find("lines 1, 3") != std::string::npos);
}

TEST_CASE("replace_once sees overlapping occurrences") {
  CHECK_FALSE(replace_once("aaa", "aa", "b"));
}

TEST_CASE("replace_once tells where only white space differs") {
  const auto done = replace_once("x\n\tcall();\n", "    call();", "y");
  REQUIRE_FALSE(done);
  CHECK(done.why().find("line 2") != std::string::npos);
}

TEST_CASE("replace_once refuses an empty old text") {
  CHECK_FALSE(replace_once("a", "", "b"));
}

TEST_CASE("replace_once takes LF for CRLF in a file of CRLF lines") {
  const auto done = replace_once("a\r\nb\r\nc\r\n", "a\nb", "x\ny");
  REQUIRE(done);
  CHECK(*done == "x\r\ny\r\nc\r\n");
}

TEST_CASE("replace_once leaves mixed line ends alone") {
  const auto done = replace_once("a\r\nb\nc\n", "c", "d\ne");
  REQUIRE(done);
  CHECK(*done == "a\r\nb\nd\ne\n");
}

TEST_CASE("insert_lines puts lines at the start and behind a line") {
  CHECK(*insert_lines("b\n", 0, "a\n") == "a\nb\n");
  CHECK(*insert_lines("a\nc\n", 1, "b") == "a\nb\nc\n");
}

TEST_CASE("insert_lines at the end of a file without a last line end adds one") {
  CHECK(*insert_lines("a", 1, "b") == "a\nb");
}

TEST_CASE("insert_lines refuses a line that is not there") {
  const auto done = insert_lines("a\n", 5, "b");
  REQUIRE_FALSE(done);
  CHECK(done.why().find("0 to 1") != std::string::npos);
}

TEST_CASE("numbered_lines shows a range") {
  CHECK(*numbered_lines("a\nb\nc\n", 2, 2) == "2\tb\n");
  CHECK(*numbered_lines("a\nb\nc", 2, -1) == "2\tb\n3\tc\n");
  CHECK_FALSE(numbered_lines("a\n", 3, -1));
}
