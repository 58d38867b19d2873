// words: the wire's enumerations as the words that people read ("evolved", "paused (budget)"), with
// their colours. Pure functions; may be called from any thread.
#pragma once

#include <string>

#include "cli/render/style.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

std::string word(v1::Ending ending);
std::string word(v1::IterationPhase phase);
std::string word(v1::AttemptState state);
std::string word(v1::KillProof proof);
std::string word(v1::LineageState state);
std::string word(v1::PauseReason reason);
/// "active", "paused (budget)", "killed".
std::string state_words(const v1::LineageInfo& lineage);
/// The same of a change; what goes on after a pause is "resumed".
std::string change_words(const v1::LineageChange& change);

paint colour_of(v1::Ending ending);
paint colour_of(v1::LineageState state);

/// Whether nothing more will happen to it by itself: paused, killed or retired.
bool is_settled(const v1::LineageInfo& lineage);

}  // namespace germline::cli
