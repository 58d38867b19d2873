#include "worker/validation/junit.hpp"

#include <algorithm>
#include <map>
#include <pugixml.hpp>

#include "common/text/utf8.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_name_bytes = 512;
constexpr std::size_t max_message_bytes = 2 * 1024;

std::string_view name_of(const pugi::xml_node& node) {
  return node.name();
}

std::string message_of(const pugi::xml_node& node) {
  std::string message = node.attribute("message").value();
  const std::string text = node.text().get();
  if (!text.empty()) message += (message.empty() ? "" : "\n") + text;
  return valid_utf8(message, max_message_bytes);
}

test_case read_case(const pugi::xml_node& node) {
  test_case found;
  std::string suite = node.attribute("classname").value();
  if (suite.empty()) suite = node.parent().attribute("name").value();
  const std::string name = node.attribute("name").value();
  // Names are recorded and compared again; what goes over the wire is valid UTF-8.
  found.name =
      valid_utf8(suite.empty() || suite == name ? name : suite + "." + name, max_name_bytes);
  // ctest says it in an attribute, the others by a child element.
  const std::string status = node.attribute("status").value();
  if (status == "fail") found.status = test_status::failed;
  if (status == "disabled" || status == "notrun") found.status = test_status::skipped;
  for (const auto& child : node.children()) {
    if (name_of(child) == "failure") {
      found.status = test_status::failed;
    } else if (name_of(child) == "error") {
      found.status = test_status::error;
    } else if (name_of(child) == "skipped" && found.status == test_status::passed) {
      found.status = test_status::skipped;
    } else {
      continue;
    }
    if (found.message.empty()) found.message = message_of(child);
  }
  return found;
}

/// passed < skipped < failed < error.
bool worse(test_status one, test_status other) {
  const auto rank = [](test_status status) {
    switch (status) {
      case test_status::passed:
        return 0;
      case test_status::skipped:
        return 1;
      case test_status::failed:
        return 2;
      case test_status::error:
        return 3;
    }
    return 3;
  };
  return rank(one) > rank(other);
}

result<void> collect(const pugi::xml_node& node, std::size_t depth, const junit_limits& limits,
                     std::vector<test_case>& cases) {
  if (depth > limits.depth) {
    return error(error_code::invalid_argument, "the test report is nested too deeply");
  }
  for (const auto& child : node.children()) {
    if (name_of(child) == "testcase") {
      if (cases.size() >= limits.tests) {
        return error(error_code::invalid_argument,
                     "the test report has more than " + std::to_string(limits.tests) + " cases");
      }
      cases.push_back(read_case(child));
      if (cases.back().name.empty()) {
        return error(error_code::invalid_argument, "the test report has a case without a name");
      }
    } else if (name_of(child) == "testsuite" || name_of(child) == "testsuites") {
      GERMLINE_TRY(collect(child, depth + 1, limits, cases));
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(test_status status) noexcept {
  switch (status) {
    case test_status::passed:
      return "passed";
    case test_status::failed:
      return "failed";
    case test_status::error:
      return "error";
    case test_status::skipped:
      return "skipped";
  }
  return "error";
}

result<test_report> parse_junit(std::string_view xml, const junit_limits& limits) {
  if (xml.empty()) return error(error_code::invalid_argument, "there is no test report");
  if (xml.size() > limits.bytes) {
    return error(error_code::invalid_argument,
                 "the test report is larger than " + std::to_string(limits.bytes) + " bytes");
  }
  if (xml.find("<!DOCTYPE") != std::string_view::npos ||
      xml.find("<!ENTITY") != std::string_view::npos) {
    return error(error_code::invalid_argument, "the test report has a DOCTYPE, which is refused");
  }
  pugi::xml_document document;
  const auto parsed = document.load_buffer(xml.data(), xml.size());
  if (!parsed) {
    return error(error_code::invalid_argument,
                 std::string("the test report is not XML: ") + parsed.description());
  }
  const auto root = document.document_element();
  if (name_of(root) != "testsuites" && name_of(root) != "testsuite") {
    return error(error_code::invalid_argument,
                 "the test report's root is <" + std::string(root.name()) +
                     ">; JUnit XML begins with <testsuites> or <testsuite>");
  }
  test_report report;
  GERMLINE_TRY(collect(root, 0, limits, report.tests));
  // A name that occurs twice is one test with the worse status.
  std::map<std::string, std::size_t> places;
  std::vector<test_case> merged;
  for (auto& found : report.tests) {
    const auto [place, is_new] = places.try_emplace(found.name, merged.size());
    if (is_new) {
      merged.push_back(std::move(found));
    } else if (worse(found.status, merged[place->second].status)) {
      merged[place->second] = std::move(found);
    }
  }
  report.tests = std::move(merged);
  return report;
}

}  // namespace germline::worker
