#include "common/text/change_sketch.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "common/random.hpp"

using namespace germline;

namespace {

change_sketch change(std::string_view before, std::string_view after) {
  change_sketcher made;
  made.add(before, after);
  return made.make();
}

/// So many words, the n-th of which is `word` and a number from `first` on.
std::string text_of(const std::string& word, int first, int count) {
  std::string out;
  for (int i = first; i < first + count; ++i) out += word + std::to_string(i) + " ";
  return out;
}

const std::string source =
    "int step(int x) {\n  return x + 1;\n}\nint twice(int x) { return 2 * x; }";

std::string with(const std::string& old, const std::string& by) {
  auto text = source;
  text.replace(text.find(old), old.size(), by);
  return text;
}

}  // namespace

TEST_CASE("the same change is wholly alike, whatever spaces it has") {
  const auto one = change(source, with("x + 1", "x + 17"));
  CHECK_FALSE(one.empty());
  CHECK(one.likeness(change(source, with("x + 1", "x +\n\t17"))) == 1);
  CHECK(change(source, with("x + 1", "x   +  1")).empty());
}

TEST_CASE("changes of different places have nothing in common, of one place a part") {
  const auto one = change(source, with("x + 1", "x + 17"));
  CHECK(one.likeness(change(source, with("2 * x", "3 * x"))) == 0);
  // Four shingles were removed by both; four were added by each.
  CHECK(one.likeness(change(source, with("x + 1", "x + 18"))) == doctest::Approx(4.0 / 12));
  CHECK(one.likeness(change(with("x + 1", "x + 17"), source)) == 0);  // the way back
}

TEST_CASE("what is moved to another file is no change, and what is said again is one") {
  change_sketcher moved;
  moved.add(source, "");
  moved.add("", source);
  CHECK(moved.make().empty());
  CHECK_FALSE(change(source, source + "\n" + source).empty());
  CHECK(change("", "a").likeness(change("", "a")) == 1);
}

TEST_CASE("a change that is empty is like no other") {
  CHECK(change(source, source).empty());
  CHECK(change(source, source).likeness(change(source, source)) == 0);
  CHECK(change(source, source).likeness(change(source, with("2", "3"))) == 0);
}

TEST_CASE("the likeness of large changes is estimated") {
  // Words 0 to 1999 and 1000 to 2999: 1,000 of 3,000 in common, but for the shingles at the edges.
  double sum = 0;
  constexpr int times = 40;
  for (int i = 0; i < times; ++i) {
    const auto word = "w" + std::to_string(i) + "_";
    const auto one = change("", text_of(word, 0, 2'000));
    const auto other = change("", text_of(word, 1'000, 2'000));
    CHECK(one.bytes().size() == change_sketch::bytes_max);
    const auto found = one.likeness(other);
    CHECK(found == other.likeness(one));
    CHECK(std::abs(found - 1.0 / 3) < 0.15);  // five standard errors
    sum += found;
  }
  CHECK(std::abs(sum / times - 1.0 / 3) < 0.025);
}

TEST_CASE("a large change is unlike a small part of it") {
  const auto whole = change("", text_of("w", 0, 5'000));
  CHECK(whole.likeness(change("", text_of("w", 0, 100))) < 0.05);
}

TEST_CASE("a sketch is read as it was written, and nothing else is") {
  const auto one = change("", text_of("w", 0, 500));
  const auto again = change_sketch::read(one.bytes());
  REQUIRE(again);
  CHECK(*again == one);
  CHECK(change_sketch::read("")->empty());
  CHECK_FALSE(change_sketch::read("1234567"));
  CHECK_FALSE(change_sketch::read(std::string(change_sketch::bytes_max + 8, 'x')));
  CHECK_FALSE(change_sketch::read(std::string(16, 'x')));  // twice the same
  auto turned = one.bytes().substr(0, 16);
  std::swap_ranges(turned.begin(), turned.begin() + 8, turned.begin() + 8);
  CHECK_FALSE(change_sketch::read(turned));
}
