#include "cli/render/words.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "common/text/tags.hpp"
#include "common/text/units.hpp"

namespace germline::cli {
namespace {

/// "ENDING_EVOLVED" without its prefix, in lower case with spaces. Unknown numbers, from a newer
/// coordinator, are "unknown".
std::string lower(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return "unknown";
  std::string text;
  for (const char letter : name.substr(prefix.size())) {
    if (letter == '_') {
      text += ' ';
    } else {
      text += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    }
  }
  return text;
}

constexpr std::string_view killed_prefix = "killed: ";

/// A seed that was refused leaves lineages that are retired.
bool killed_while_founded(const v1::RunInfo& run) {
  const auto& all = run.lineages();
  return run.found_state() == "refused" && run.found_details().starts_with(killed_prefix) &&
         std::any_of(all.begin(), all.end(), [](const auto& lineage) {
           return lineage.state() == v1::LINEAGE_STATE_KILLED;
         });
}

std::string state_words(v1::LineageState state, v1::PauseReason why) {
  if (state == v1::LINEAGE_STATE_PAUSED && why == v1::PAUSE_REASON_DONE) return "done";
  auto text = word(state);
  if (state == v1::LINEAGE_STATE_PAUSED && why != v1::PAUSE_REASON_UNSPECIFIED) {
    text += " (" + word(why) + ")";
  }
  return text;
}

}  // namespace

std::string word(v1::Ending ending) {
  if (ending == v1::ENDING_UNSPECIFIED) return "live";
  return lower(v1::Ending_Name(ending), "ENDING_");
}

std::string word(v1::IterationPhase phase) {
  if (phase == v1::ITERATION_PHASE_UNSPECIFIED) return "waiting";
  return lower(v1::IterationPhase_Name(phase), "ITERATION_PHASE_");
}

std::string word(v1::AttemptState state) {
  return lower(v1::AttemptState_Name(state), "ATTEMPT_STATE_");
}

std::string word(v1::KillProof proof) {
  if (proof == v1::KILL_PROOF_UNSPECIFIED || proof == v1::KILL_PROOF_NONE) return "no proof";
  return lower(v1::KillProof_Name(proof), "KILL_PROOF_");
}

std::string word(v1::LineageState state) {
  return lower(v1::LineageState_Name(state), "LINEAGE_STATE_");
}

std::string word(v1::PauseReason reason) {
  return lower(v1::PauseReason_Name(reason), "PAUSE_REASON_");
}

std::string state_words(const v1::LineageInfo& lineage) {
  const auto text = state_words(lineage.state(), lineage.pause_reason());
  return lineage.draining() && !is_over(lineage) ? text + ", draining" : text;
}

std::string change_words(const v1::LineageChange& change) {
  if (!change.rolled_back_to().empty()) {
    return "rolled back to generation " + std::to_string(change.rolled_back_number()) + " " +
           short_id(change.rolled_back_to());
  }
  if (!change.rule().empty()) return "hit " + safe_line(change.rule());
  if (change.state() == v1::LINEAGE_STATE_ACTIVE && change.was() == v1::LINEAGE_STATE_PAUSED) {
    return "resumed";
  }
  return state_words(change.state(), change.pause_reason());
}

std::string refusal_words(const v1::RunInfo& run) {
  return killed_while_founded(run) ? "killed while it was founded" : "the seed was refused";
}

std::string refusal_details(const v1::RunInfo& run) {
  const auto& details = run.found_details();
  return killed_while_founded(run) ? details.substr(killed_prefix.size()) : details;
}

std::string found_words(const v1::RunInfo& run) {
  return killed_while_founded(run) ? "killed" : run.found_state();
}

std::string live_words(const v1::IterationInfo& iteration) {
  // What it last did stays in the record when its worker has lost it.
  const auto& attempts = iteration.attempts();
  const bool is_lost = !attempts.empty() && attempts.rbegin()->state() == v1::ATTEMPT_STATE_LOST;
  if (is_lost) return word(v1::ITERATION_PHASE_UNSPECIFIED);
  if (iteration.phase() != v1::ITERATION_PHASE_UNSPECIFIED) return word(iteration.phase());
  return word(is_leased(iteration) ? v1::ITERATION_PHASE_PREPARING : iteration.phase());
}

bool is_leased(const v1::IterationInfo& iteration) {
  const auto& attempts = iteration.attempts();
  return std::any_of(attempts.begin(), attempts.end(), [](const auto& attempt) {
    return attempt.state() == v1::ATTEMPT_STATE_LEASED;
  });
}

std::string number_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string fitness_words(const v1::GenerationInfo& generation, const style& how) {
  if (!generation.has_fitness()) return {};
  const auto& fitness = generation.fitness();
  std::string text;
  if (fitness.samples() > 0) {
    text = "fitness " + number_words(fitness.mean());
    if (fitness.samples() > 1) {
      text += std::string(how.unicode ? " ±" : " +-") +
              number_words(fitness.high() - fitness.mean()) + " of " +
              std::to_string(fitness.samples());
    }
  }
  if (fitness.failed() > 0) {
    if (text.empty()) {
      text = "no score";
      if (!fitness.reason().empty()) text += " (" + safe_line(fitness.reason()) + ")";
    } else {
      text += ", " + std::to_string(fitness.failed()) + " without score";
    }
  }
  if (fitness.open() > 0) text += text.empty() ? "being measured" : ", being measured";
  if (fitness.open_again() > 0) text += ", being measured again";
  return text;
}

std::string reason_of(const v1::IterationInfo& iteration) {
  return iteration.reason() == word(iteration.ending()) ? "" : iteration.reason();
}

paint colour_of(v1::Ending ending) {
  switch (ending) {
    case v1::ENDING_EVOLVED:
      return paint::green;
    case v1::ENDING_REJECTED:
    case v1::ENDING_FAILED:
      return paint::red;
    case v1::ENDING_STALLED:
      return paint::yellow;
    case v1::ENDING_KILLED:
      return paint::magenta;
    default:
      return paint::blue;
  }
}

paint colour_of(const v1::LineageChange& change) {
  if (!change.rolled_back_to().empty() || !change.rule().empty()) return paint::yellow;
  return colour_of(change.state(), change.pause_reason());
}

paint colour_of(v1::LineageState state, v1::PauseReason why) {
  if (state == v1::LINEAGE_STATE_PAUSED && why == v1::PAUSE_REASON_DONE) return paint::bold;
  switch (state) {
    case v1::LINEAGE_STATE_ACTIVE:
      return paint::green;
    case v1::LINEAGE_STATE_PAUSED:
      return paint::yellow;
    case v1::LINEAGE_STATE_KILLED:
      return paint::magenta;
    default:
      return paint::dim;
  }
}

std::string model_words(const v1::RunInfo& run) {
  if (run.models().empty()) return run.model();
  return join_tags({run.models().begin(), run.models().end()}) + " by " + run.model_choice();
}

std::string amount_words(const amount& what) {
  std::string text;
  for (const auto of : all_units) {
    if (what[of] <= 0) continue;
    text += (text.empty() ? "" : ", ") + format_amount(of, what[of]);
  }
  return text;
}

std::string counted_words(const amount& spent, const amount& budget) {
  std::string text;
  for (const auto of : {unit::tokens, unit::requests}) {
    if (budget[of] <= 0) continue;
    text += (text.empty() ? "" : ", ") + format_count(spent[of]) + " of " +
            format_amount(of, budget[of]);
  }
  return text;
}

amount budget_of(const v1::RunInfo& run) {
  return {run.budget_nanousd(), run.budget_tokens(), run.budget_requests()};
}
amount spent_of(const v1::RunInfo& run) {
  return {run.spent_nanousd(), run.spent_tokens(), run.spent_requests()};
}
amount budget_of(const v1::LineageInfo& lineage) {
  return {lineage.budget_nanousd(), lineage.budget_tokens(), lineage.budget_requests()};
}
amount spent_of(const v1::LineageInfo& lineage) {
  return {lineage.spent_nanousd(), lineage.spent_tokens(), lineage.spent_requests()};
}

std::string held_out_words(const v1::HeldOut& held_out) {
  return counted(held_out.files(), "file") + ", " + rough_size(held_out.bytes());
}

std::string replay_words(const v1::RunInfo& run) {
  return safe_line(run.replay_of()) + (run.replay_answers() == v1::REPLAY_ANSWERS_LIVE
                                           ? ", with the models asked anew"
                                       : run.replay_answers() == v1::REPLAY_ANSWERS_STRICT
                                           ? ", models' answers strictly by transcripts"
                                           : ", models' answers by transcripts");
}

std::string share_words(const v1::RunInfo& run) {
  auto text = "weight " + std::to_string(std::max(1, run.weight()));
  if (run.priority() != 0) text += ", priority " + std::to_string(run.priority());
  return text;
}

bool moves_lineages(const v1::RunInfo& run) {
  return !run.strategy().empty() && run.strategy() != "chain";
}

std::string idle_words(const v1::LineageInfo& lineage) {
  const bool idle = lineage.state() == v1::LINEAGE_STATE_ACTIVE && !lineage.has_live();
  return idle ? lineage.waits_for() : "";
}

std::string halted_words(const v1::LineageInfo& lineage) {
  const bool is_paused = lineage.state() == v1::LINEAGE_STATE_PAUSED &&
                         lineage.pause_reason() != v1::PAUSE_REASON_DONE;
  const bool is_killed = lineage.state() == v1::LINEAGE_STATE_KILLED;
  const auto& why = lineage.pause_details();
  if (why.empty() || !(is_paused || is_killed)) return {};
  const std::string state = is_paused ? "paused" : "killed";
  return why.starts_with(state) ? why : state + ": " + why;  // "killed by a person"
}

std::string choice_words(const v1::ParentChoice& choice) {
  std::string text = "the only one that could be";
  if (choice.among() > 1) {
    text = "chosen among " + std::to_string(choice.among());
    if (choice.probability() > 0) {
      char probability[32];
      std::snprintf(probability, sizeof probability, "%.2g", choice.probability());
      text += std::string(" with probability ") + probability;
    }
  }
  if (choice.unmeasured() > 0) {
    text += "; " + std::to_string(choice.unmeasured()) +
            (choice.unmeasured() == 1 ? " was" : " were") + " not measured yet";
  }
  return text;
}

bool is_settled(const v1::LineageInfo& lineage) {
  return lineage.state() == v1::LINEAGE_STATE_PAUSED ||
         lineage.state() == v1::LINEAGE_STATE_KILLED ||
         lineage.state() == v1::LINEAGE_STATE_RETIRED;
}

bool is_over(const v1::LineageInfo& lineage) {
  return is_settled(lineage) && (lineage.state() != v1::LINEAGE_STATE_PAUSED ||
                                 lineage.pause_reason() == v1::PAUSE_REASON_DONE);
}

time_spent time_of(const v1::IterationInfo& iteration) {
  time_spent spent;
  if (iteration.ended_ms() <= 0) return spent;
  for (int i = 0; i < iteration.attempts_size(); ++i) {
    const auto& attempt = iteration.attempts(i);
    auto end_ms = iteration.ended_ms();
    if (attempt.ended_ms() > 0) end_ms = std::min(end_ms, attempt.ended_ms());
    // A lost attempt may have said its last word when the next one was there already.
    if (i + 1 < iteration.attempts_size()) {
      end_ms = std::min(end_ms, iteration.attempts(i + 1).leased_ms());
    }
    spent.ran_ms += std::max<std::int64_t>(end_ms - attempt.leased_ms(), 0);
  }
  const auto whole_ms = iteration.ended_ms() - iteration.started_ms();
  if (iteration.started_ms() > 0) {
    spent.waited_ms = std::max<std::int64_t>(whole_ms - spent.ran_ms, 0);
  }
  return spent;
}

std::int64_t first_wait_ms(const v1::IterationInfo& iteration) {
  if (iteration.attempts_size() == 0 || iteration.started_ms() <= 0) return 0;
  return std::max<std::int64_t>(iteration.attempts(0).leased_ms() - iteration.started_ms(), 0);
}

std::string counted(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace germline::cli
