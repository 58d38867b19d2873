#include <nlohmann/json.hpp>

#include "cli/render/failure.hpp"
#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

std::string remaining_words(const v1::RemainingAttempt& attempt, std::int64_t now_ms) {
  const auto worker = "worker " + safe_line(attempt.worker_id());
  const auto named =
      attempt.last_named_ms() == 0
          ? worker + " has not said what became of "
          : worker + " said " + age(attempt.last_named_ms(), now_ms) + " that it still has ";
  return named + short_id(attempt.attempt_id()) + (attempt.connected() ? "" : ", and is away now");
}

}  // namespace

std::string render_killed(const v1::KillReply& reply, const style& how) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& killed : reply.lineages()) {
    rows.push_back(
        {short_id(killed.lineage_id()), word(killed.proof()), duration(killed.took_ms())});
  }
  return table(how, {"LINEAGE", "PROOF", "TOOK"}, rows);
}

std::string render_scaled(const v1::ScaleReply& reply, const style& how) {
  std::string text;
  for (const auto& each : reply.added()) {
    text += short_id(each.lineage_id()) + " " + painted(how, paint::green, "added") + "\n";
  }
  for (const auto& each : reply.leaving()) {
    const bool drains = each.draining() && !is_over(each);
    text +=
        short_id(each.lineage_id()) + " " +
        (drains
             ? painted(how, paint::yellow, "drains") + ": it retires when its live iteration ends"
             : painted(how, colour_of(each.state(), each.pause_reason()), state_words(each))) +
        "\n";
  }
  if (reply.killed().empty()) return text;
  v1::KillReply killed;
  *killed.mutable_lineages() = reply.killed();
  return text + render_killed(killed, how);
}

bool is_proved(const v1::KilledLineage& killed) {
  return killed.proof() == v1::KILL_PROOF_NOTHING_RAN || killed.proof() == v1::KILL_PROOF_KILLED ||
         killed.proof() == v1::KILL_PROOF_LEASE_EXPIRED;
}

std::string render_unproved(const v1::KillReply& reply, std::int64_t now_ms) {
  std::string text;
  std::string ids;
  for (const auto& killed : reply.lineages()) {
    if (is_proved(killed)) continue;
    const auto id = short_id(killed.lineage_id());
    ids += " " + id;
    text += id + " is killed, and there is no proof that nothing of it runs any more:\n";
    for (const auto& attempt : killed.remaining()) {
      text += "  " + remaining_words(attempt, now_ms) + "\n";
    }
    if (killed.remaining().empty()) text += "  the coordinator does not say what it waits for\n";
  }
  if (text.empty()) return text;
  return text +
         "What still runs is shut in its sandbox, and nothing that it does is taken any more: no\n"
         "result, no commit, no move of a branch. Its requests to a model end with its last lease, "
         "at\n"
         "most 20s after its worker heard of the kill; what was set aside for it counts as spent\n"
         "until the proof is there.\n"
         "What to do: on the worker's machine read the worker's log, then end the worker with\n"
         "SIGKILL and start it again: it ends all that it finds of its former life before it "
         "joins.\n"
         "Ask again for the proof: germline kill" +
         ids + "\n";
}

std::string killed_json(const v1::KillReply& reply, const std::vector<error>& failures) {
  auto text = to_json(reply);
  if (failures.empty()) return text;
  if (reply.lineages().empty() && failures.size() == 1) return failure_json(failures.front());
  auto whole = nlohmann::json::parse(text);
  for (const auto& failure : failures) {
    whole["errors"].push_back(nlohmann::json::parse(failure_json(failure))["error"]);
  }
  return whole.dump(1, ' ', true) + "\n";
}

}  // namespace germline::cli
