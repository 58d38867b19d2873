#include "worker/validation/judge.hpp"

#include <algorithm>
#include <set>

namespace germline::worker {
namespace {

constexpr std::size_t max_named = 20;
constexpr std::size_t max_line_bytes = 150;
constexpr std::size_t max_reason_bytes = 4 * 1024;

std::string describe(const judged_test& test) {
  auto line = test.name.substr(0, max_line_bytes) + ": " + test.status;
  const auto message = test.message.substr(0, test.message.find('\n'));
  if (!message.empty()) line += ": " + message.substr(0, max_line_bytes);
  return line;
}

}  // namespace

test_verdict judge_tests(const test_report& report,
                         const std::vector<std::string>& expected_names) {
  test_verdict verdict;
  const std::set<std::string_view> expected(expected_names.begin(), expected_names.end());
  std::set<std::string_view> seen;
  std::vector<bool> red;
  for (const auto& test : report.tests) {
    seen.insert(test.name);
    verdict.tests.push_back({test.name, std::string(to_string(test.status)), test.message});
    const bool skip_is_red = expected.empty() || expected.contains(test.name);
    red.push_back(test.status == test_status::failed || test.status == test_status::error ||
                  (test.status == test_status::skipped && skip_is_red));
  }
  for (const auto& name : expected_names) {
    if (seen.contains(name)) continue;
    verdict.tests.push_back({name, "missing", "expected, and not in the report"});
    red.push_back(true);
  }
  std::size_t count = 0;
  if (report.tests.empty()) verdict.reason = "no test was run";
  for (std::size_t i = 0; i < red.size(); ++i) {
    if (!red[i] || ++count > max_named) continue;
    verdict.reason += (verdict.reason.empty() ? "" : "\n") + describe(verdict.tests[i]);
  }
  if (count > max_named) {
    verdict.reason += "\nand " + std::to_string(count - max_named) + " more";
  }
  if (verdict.reason.size() > max_reason_bytes) verdict.reason.resize(max_reason_bytes);
  verdict.green = count == 0 && !report.tests.empty();
  return verdict;
}

test_verdict judge_report(std::string_view xml, const std::vector<std::string>& expected_names,
                          const junit_limits& limits) {
  const auto report = parse_junit(xml, limits);
  if (report) return judge_tests(*report, expected_names);
  test_verdict verdict;
  verdict.reason = report.error().message();
  return verdict;
}

}  // namespace germline::worker
