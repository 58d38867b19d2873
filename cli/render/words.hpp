// words: the wire's enumerations as the words that people read ("evolved", "paused (budget)"), with
// their colours. Pure functions; may be called from any thread.
#pragma once

#include <string>

#include "cli/render/style.hpp"
#include "common/amount.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

std::string word(v1::Ending ending);
std::string word(v1::IterationPhase phase);
std::string word(v1::AttemptState state);
std::string word(v1::KillProof proof);
std::string word(v1::LineageState state);
std::string word(v1::PauseReason reason);
/// "active", "active, draining", "paused (budget)", "killed"; "done" of what is paused since all
/// its iterations are.
std::string state_words(const v1::LineageInfo& lineage);
/// The same of a change; what goes on after a pause is "resumed"; or to what it was rolled back.
std::string change_words(const v1::LineageChange& change);

/// Of a run that came to no generation: "the seed was refused", or that a person killed it before
/// that was known.
std::string refusal_words(const v1::RunInfo& run);
/// Why, in its own words.
std::string refusal_details(const v1::RunInfo& run);
/// The same as the state of the run: "founded", "pending", "refused" or "killed".
std::string found_words(const v1::RunInfo& run);

/// What a live iteration does: its phase, or "waiting" for a slot.
std::string live_words(const v1::IterationInfo& iteration);
/// Whether a worker has it just now.
bool is_leased(const v1::IterationInfo& iteration);
/// Why it ended, where that says more than how.
std::string reason_of(const v1::IterationInfo& iteration);

paint colour_of(v1::Ending ending);
paint colour_of(const v1::LineageChange& change);
paint colour_of(v1::LineageState state, v1::PauseReason why);

/// Six digits that matter: "2.63594".
std::string number_words(double value);
/// "fitness 2.41", "fitness 2.41 ±0.03 of 5", "no score", "being measured"; empty where the run
/// measures none.
std::string fitness_words(const v1::GenerationInfo& generation, const style& how);

/// "m", or "m, n by ucb1".
std::string model_words(const v1::RunInfo& run);
/// "3 files, 12 KiB".
std::string held_out_words(const v1::HeldOut& held_out);
/// "$0.10, 500k tokens, 20 requests": what is not 0 of it; empty where nothing is.
std::string amount_words(const amount& what);
/// "3M of 50M tokens, 20 of 2k requests", of those that have a budget; empty where none has.
std::string counted_words(const amount& spent, const amount& budget);
amount budget_of(const v1::RunInfo& run);
amount spent_of(const v1::RunInfo& run);
amount budget_of(const v1::LineageInfo& lineage);  // 0 where it has none of its own
amount spent_of(const v1::LineageInfo& lineage);
/// "run_1, models' answers by transcripts", of a replay.
std::string replay_words(const v1::RunInfo& run);
/// "weight 3, priority 10".
std::string share_words(const v1::RunInfo& run);
/// Whether a run's strategy lets an iteration start from elsewhere than its lineage's head.
bool moves_lineages(const v1::RunInfo& run);
/// What an active lineage of which nothing is live waits for; empty where it is none.
std::string idle_words(const v1::LineageInfo& lineage);
/// Why a lineage that is paused or killed is so; empty: it is neither, or nobody said why.
std::string halted_words(const v1::LineageInfo& lineage);
/// "chosen among 12 with probability 0.083; 2 were not measured yet".
std::string choice_words(const v1::ParentChoice& choice);

/// Whether nothing more will happen to it by itself: paused, killed or retired.
bool is_settled(const v1::LineageInfo& lineage);
/// Whether nothing more can happen to it: all its iterations are done, killed or retired.
bool is_over(const v1::LineageInfo& lineage);

/// Of an iteration that has ended: how long its attempts had their slots, and the rest.
struct time_spent {
  std::int64_t ran_ms = 0;
  std::int64_t waited_ms = 0;
};
time_spent time_of(const v1::IterationInfo& iteration);
/// How long it waited for its first slot; 0 while it does.
std::int64_t first_wait_ms(const v1::IterationInfo& iteration);
/// Waiting is told from here on.
inline constexpr std::int64_t long_wait_ms = 1'000;

/// "1 worker", "3 workers".
std::string counted(std::int64_t count, const std::string& what);

}  // namespace germline::cli
