#include "worker/validation/judge.hpp"

#include <doctest/doctest.h>

#include "common/text/utf8.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

std::string why_unreadable(const std::string& xml) {
  const auto read = parse_junit(xml);
  return read ? "" : read.error().message();
}

}  // namespace

TEST_CASE("the dialects of doctest, ctest and pytest are read") {
  const auto doctest_cases = parse_junit(
      R"(<?xml version="1.0"?><testsuites><testsuite name="t" tests="2">
      <testcase classname="a.cpp" name="one" status="run"/>
      <testcase classname="a.cpp" name="two" status="run"><failure message="1 == 2"
       type="CHECK">a.cpp:3: not equal</failure></testcase></testsuite></testsuites>)");
  REQUIRE(doctest_cases);
  CHECK(doctest_cases->tests[0].status == test_status::passed);
  CHECK(doctest_cases->tests[1].name == "a.cpp.two");
  CHECK(doctest_cases->tests[1].status == test_status::failed);
  CHECK(doctest_cases->tests[1].message == "1 == 2\na.cpp:3: not equal");

  const auto ctest_cases = parse_junit(
      R"(<testsuite name="ctest" tests="3"><testcase name="x" classname="x" status="run"/>
      <testcase name="y" classname="y" status="fail"><failure message="exit 1"/></testcase>
      <testcase name="z" classname="z" status="disabled"/></testsuite>)");
  REQUIRE(ctest_cases);
  CHECK(ctest_cases->tests[0].name == "x");
  CHECK(ctest_cases->tests[1].status == test_status::failed);
  CHECK(ctest_cases->tests[2].status == test_status::skipped);

  const auto pytest_cases = parse_junit(
      R"(<testsuites><testsuite name="pytest"><testcase classname="m.T" name="a" time="0.1"/>
      <testcase classname="m.T" name="b"><skipped message="no reason"/></testcase>
      <testcase classname="m.T" name="c"><error message="setup"/></testcase>
      </testsuite></testsuites>)");
  REQUIRE(pytest_cases);
  CHECK(pytest_cases->tests[1].status == test_status::skipped);
  CHECK(pytest_cases->tests[2].status == test_status::error);
}

TEST_CASE("what cannot be believed is refused with the reason") {
  CHECK(why_unreadable("") == "there is no test report");
  CHECK(why_unreadable("<testsuite><testcase").find("not XML") != std::string::npos);
  CHECK(why_unreadable("<html/>").find("<html>") != std::string::npos);
  CHECK(why_unreadable("<!DOCTYPE x [<!ENTITY a \"b\">]><testsuite/>").find("DOCTYPE") !=
        std::string::npos);
  CHECK(why_unreadable(R"(<testsuite><testcase/></testsuite>)").find("without a name") !=
        std::string::npos);
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<testsuite>";
  for (int i = 0; i < 100; ++i) deep += "</testsuite>";
  CHECK(why_unreadable(deep).find("deeply") != std::string::npos);
  CHECK(why_unreadable(std::string((4 << 20) + 1, ' ')).find("larger") != std::string::npos);
}

TEST_CASE("a name that occurs twice is one test with the worse status") {
  const auto report = parse_junit(
      R"(<testsuite name="s"><testcase name="a"><failure/></testcase><testcase name="a"/>
      </testsuite>)");
  REQUIRE(report);
  REQUIRE(report->tests.size() == 1);
  CHECK(report->tests[0].name == "s.a");
  CHECK(report->tests[0].status == test_status::failed);
}

TEST_CASE("no test, a missing one, a skipped one are red") {
  CHECK_FALSE(judge_tests({}, {}).green);
  CHECK(judge_tests({}, {}).reason == "no test was run");
  CHECK(judge_tests({{{"a"}}}, {}).green);
  CHECK(judge_tests({{{"a"}}}, {"a"}).green);
  const auto missing = judge_tests({{{"a"}}}, {"a", "b"});
  CHECK_FALSE(missing.green);
  CHECK(missing.reason == "b: missing: expected, and not in the report");
  CHECK(missing.tests.back().status == "missing");
  CHECK_FALSE(judge_tests({{{"a", test_status::skipped}}}, {"a"}).green);
  CHECK_FALSE(judge_tests({{{"a", test_status::skipped}}}, {}).green);
  CHECK(judge_tests({{{"a"}, {"new", test_status::skipped}}}, {"a"}).green);
  CHECK_FALSE(judge_tests({{{"a"}, {"new", test_status::failed}}}, {"a"}).green);
  CHECK_FALSE(judge_report("<html/>", {}).green);
}

TEST_CASE("a name that is no UTF-8, or is cut, is recorded as it is compared later") {
  const auto founds_and_holds = [](const std::string& name) {
    const auto xml = "<testsuite><testcase name=\"" + name + "\"/></testsuite>";
    const auto founded = judge_report(xml, {});
    REQUIRE(founded.tests.size() == 1);
    const auto recorded = valid_utf8(founded.tests[0].name);  // as it passes the wire
    CHECK_MESSAGE(judge_report(xml, {recorded}).green, judge_report(xml, {recorded}).reason);
    return recorded;
  };
  CHECK(founds_and_holds("a\xff"
                         "b") == "a\\xffb");
  CHECK(founds_and_holds(std::string(511, 'a') + "\u00e9") == std::string(511, 'a'));
}

TEST_CASE("the reason names the failing tests and is bounded") {
  test_report report;
  for (int i = 0; i < 50; ++i) {
    report.tests.push_back(
        {"t" + std::to_string(i), test_status::failed, std::string(1'000, 'x') + "\nsecond"});
  }
  const auto verdict = judge_tests(report, {});
  CHECK(verdict.reason.starts_with("t0: failed: xxx"));
  CHECK(verdict.reason.find("and 30 more") != std::string::npos);
  CHECK(verdict.reason.size() <= 4 * 1024);
}
