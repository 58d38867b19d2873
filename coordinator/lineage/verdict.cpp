#include "coordinator/lineage/verdict.hpp"

#include "common/text/change_sketch.hpp"
#include "common/text/utf8.hpp"

namespace germline {
namespace {

constexpr std::size_t max_details_bytes = 16 * 1024;
constexpr std::size_t max_action_bytes = 1024;
constexpr int max_tests = 1'000;

lineage::ending to_ending(const v1::AttemptResult& result) {
  switch (result.ending()) {
    case v1::ENDING_SCORED:
      return result.has_score() ? lineage::ending::scored : lineage::ending::failed;
    case v1::ENDING_EVOLVED:
      return lineage::ending::evolved;
    case v1::ENDING_STALLED:
      return lineage::ending::stalled;
    case v1::ENDING_REJECTED:
      return lineage::ending::rejected;
    default:
      return lineage::ending::failed;  // a worker cannot end an iteration as killed
  }
}

std::string cut(const std::string& text, std::size_t limit) {
  return valid_utf8(text, limit);
}

}  // namespace

records::verdict make_verdict(const v1::AttemptResult& result, const item_id& item,
                              std::int64_t now_ms) {
  records::verdict verdict;
  verdict.item = item;
  if (auto attempt = attempt_id::parse(result.attempt_id())) verdict.attempt = *attempt;
  verdict.fence = result.fence();
  verdict.how = to_ending(result);
  verdict.reason = cut(result.reason(), max_action_bytes);
  verdict.details = cut(result.details(), max_details_bytes);
  verdict.action = cut(result.action(), max_action_bytes);
  verdict.commit = result.commit();
  verdict.usage = result.usage();
  for (const auto& test : result.tests()) {
    if (static_cast<int>(verdict.tests.size()) == max_tests) break;
    verdict.tests.push_back(test);
    verdict.tests.back().set_message(cut(test.message(), 4 * 1024));
  }
  verdict.now_ms = now_ms;
  if (result.change_sketch().size() <= change_sketch::bytes_max) {
    verdict.change_sketch = result.change_sketch();
  }
  return verdict;
}

std::vector<item_id> make_evaluations(const environment& env, const records::measuring& measured) {
  std::vector<item_id> items;
  for (int i = 0; i < measured.evaluations; ++i) {
    items.push_back(item_id::make(*env.time, *env.random));
  }
  return items;
}

}  // namespace germline
