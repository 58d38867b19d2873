#include "cli/render/words.hpp"

#include <string_view>

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

std::string state_words(v1::LineageState state, v1::PauseReason why) {
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
  return state_words(lineage.state(), lineage.pause_reason());
}

std::string change_words(const v1::LineageChange& change) {
  if (change.state() == v1::LINEAGE_STATE_ACTIVE && change.was() == v1::LINEAGE_STATE_PAUSED) {
    return "resumed";
  }
  return state_words(change.state(), change.pause_reason());
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

paint colour_of(v1::LineageState state) {
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

bool is_settled(const v1::LineageInfo& lineage) {
  return lineage.state() == v1::LINEAGE_STATE_PAUSED ||
         lineage.state() == v1::LINEAGE_STATE_KILLED ||
         lineage.state() == v1::LINEAGE_STATE_RETIRED;
}

}  // namespace germline::cli
