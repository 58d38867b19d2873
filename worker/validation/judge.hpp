// judge: whether a test report is green. Counts for itself and believes no summary.
// Pure; may be called from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/validation/junit.hpp"

namespace germline::worker {

struct judged_test {
  std::string name;
  std::string status;  // "passed", "failed", "error", "skipped", "missing"
  std::string message;
};

struct test_verdict {
  bool green = false;
  std::string reason;  // empty when green; else for people and the next generation, at most 4 KiB
  std::vector<judged_test> tests;
};

/// Red when there is no test, when one failed, when one of `expected_names` is missing or skipped,
/// or, with no names expected, when one is skipped.
test_verdict judge_tests(const test_report& report, const std::vector<std::string>& expected_names);

/// The same from the bytes of a report; one that cannot be read is red.
test_verdict judge_report(std::string_view xml, const std::vector<std::string>& expected_names,
                          const junit_limits& limits = {});

}  // namespace germline::worker
