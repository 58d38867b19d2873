#include "coordinator/api/waiting.hpp"

#include <algorithm>

#include "common/text/tags.hpp"

namespace germline {
namespace {

constexpr std::string_view a_slot = "a free slot on a worker";

}  // namespace

std::string waits_for(const worker_statuses& workers, const worker_needs& needs) {
  worker_statuses left = workers;
  std::erase_if(left, [](const auto& each) { return !each.connected; });
  if (left.empty()) return "a worker: none is connected";
  std::erase_if(left, [&](const auto& each) { return !has_tags(each.tags, needs.required_tags); });
  if (left.empty()) {
    return "a worker with the tag" + std::string(needs.required_tags.size() == 1 ? " " : "s ") +
           join_tags(needs.required_tags) + "; none that has joined has " +
           (needs.required_tags.size() == 1 ? "it" : "them");
  }
  const auto& base = needs.base_digest;
  std::erase_if(left, [&](const auto& each) { return !base.empty() && each.base_digest != base; });
  if (left.empty()) {
    return "a worker with the base system that its run began with" +
           (needs.required_tags.empty() ? std::string()
                                        : " and the tags " + join_tags(needs.required_tags));
  }
  std::erase_if(left, [](const auto& each) { return each.cordoned; });
  if (left.empty()) return "a worker that is not cordoned; all that fit are";
  std::erase_if(left, [](const auto& each) { return each.silent; });
  if (left.empty()) return "word from a worker; none that fits was heard for a while";
  const auto troubled = left.front();
  std::erase_if(left, [](const auto& each) { return !each.trouble.empty(); });
  if (left.empty()) return "worker " + troubled.worker + ": " + troubled.trouble;
  return std::string(a_slot);
}

std::string waits_for(const fleet_status& fleet, const std::string& item,
                      const worker_needs& needs) {
  if (!fleet.leases_wait_for.empty()) return fleet.leases_wait_for;
  const auto held = fleet.held_back.find(item);
  if (held != fleet.held_back.end()) return held->second;
  auto words = waits_for(fleet.workers, needs);
  if (words == a_slot && !fleet.first_run.empty() && fleet.first_priority > needs.priority) {
    words += "; " + fleet.first_run + ", of priority " + std::to_string(fleet.first_priority) +
             ", goes first";
  }
  return words;
}

bool is_unleased(const v1::IterationInfo& iteration) {
  const auto& attempts = iteration.attempts();
  return iteration.ending() == v1::ENDING_UNSPECIFIED &&
         std::none_of(attempts.begin(), attempts.end(), [](const auto& attempt) {
           return attempt.state() == v1::ATTEMPT_STATE_LEASED;
         });
}

waiting_teller::known_run& waiting_teller::known(const std::string& run) {
  const auto [at, is_new] = runs_.try_emplace(run);
  if (!is_new) return at->second;
  if (auto needs = record_.needs_of(run)) at->second.needs = std::move(*needs);
  return at->second;
}

std::string waiting_teller::why(const std::string& item, const worker_needs& needs) {
  if (!fleet_) fleet_ = ask_();
  return *fleet_ ? waits_for(**fleet_, item, needs) : "a worker";
}

void waiting_teller::tell(v1::LineageInfo& lineage) {
  const bool goes_on = lineage.state() == v1::LINEAGE_STATE_ACTIVE && lineage.has_live();
  if (!goes_on || !is_unleased(lineage.live())) return;
  const auto& needs = known(lineage.run_id()).needs;
  if (needs) lineage.mutable_live()->set_waits_for(why(lineage.live().item_id(), *needs));
}

void waiting_teller::tell(v1::RunInfo& run) {
  for (auto& lineage : *run.mutable_lineages()) tell(lineage);
  if (run.found_state() != "pending") return;
  const auto iterations = record_.iterations(run.run_id());
  if (!iterations || iterations->empty()) return;
  auto founding = iterations->front();
  tell(run, founding);
  if (founding.waits_for().empty()) return;
  for (auto& lineage : *run.mutable_lineages()) {
    if (lineage.state() == v1::LINEAGE_STATE_ACTIVE) *lineage.mutable_live() = founding;
  }
}

void waiting_teller::tell(const v1::RunInfo& run, v1::IterationInfo& iteration) {
  if (!is_unleased(iteration)) return;
  auto& its = known(run.run_id());
  if (!its.needs) return;
  if (!its.active) {
    its.active.emplace();
    for (const auto& lineage : run.lineages()) {
      if (lineage.state() == v1::LINEAGE_STATE_ACTIVE) its.active->insert(lineage.lineage_id());
    }
  }
  const bool founding = iteration.kind() == v1::WORK_KIND_FOUND;
  const bool goes_on =
      founding ? !its.active->empty() : its.active->contains(iteration.lineage_id());
  const bool measures = iteration.kind() == v1::WORK_KIND_EVALUATE;  // whatever its lineage does
  if (!goes_on && !measures) return;
  auto needs = *its.needs;
  if (founding) needs.base_digest.clear();
  iteration.set_waits_for(why(iteration.item_id(), needs));
}

}  // namespace germline
