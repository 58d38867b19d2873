#include <set>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/clock.hpp"

namespace germline::cli {
namespace {

std::string finding_line(const v1::PolicyFinding& finding, const style& how) {
  return painted(how, paint::dim,
                 to_iso8601(finding.time_ms()).substr(0, 19) + "Z " +
                     short_id(finding.lineage_id()) + " " + short_id(finding.item_id())) +
         " " + painted(how, paint::yellow, safe_line(finding.rule())) + ": " +
         summary(how, finding.words(), 400) + "\n";
}

}  // namespace

std::string render_policy_test(const v1::TestPolicyReply& reply, const style& how) {
  std::string text;
  std::set<std::string> lineages, rules;
  for (const auto& each : reply.findings()) {
    text += finding_line(each, how);
    lineages.insert(each.lineage_id());
    rules.insert(each.rule());
  }
  const auto looked_at =
      counted(reply.iterations(), "iteration") + " of " + counted(reply.lineages(), "lineage");
  if (reply.findings().empty()) return "no rule was hit in " + looked_at + "\n";
  if (reply.truncated()) text += "… and more: name a lineage to see all of its own\n";
  text += std::to_string(rules.size()) + " of " + counted(reply.policy_size(), "rule") +
          (rules.size() == 1 ? " was" : " were") + " hit, in " + std::to_string(lineages.size()) +
          " of " + counted(reply.lineages(), "lineage") + "; " +
          counted(reply.iterations(), "iteration") + " looked at\n";
  return text;
}

}  // namespace germline::cli
