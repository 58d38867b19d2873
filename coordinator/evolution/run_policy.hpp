// run_policy: the rules by which a run stops lineages that run away. A rule watches one measure of
// a lineage and says what is done each time that it passes a multiple of the rule's limit: "three
// iterations failed in a row" is said again at six. So nothing has to be remembered of what was
// done, and a record can be judged again by other rules.
// Rules are read from text, MEASURE LIMIT ACTION, such as "failure-streak 3 pause". `tally` adds up
// what a lineage did. Plain values and pure functions: they ask no clock and no record. Not a
// strategy, which chooses parents.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "coordinator/lineage/lineage_state.hpp"

namespace germline::evolution {

enum class measure {
  failure_streak,       // iterations in a row that ended `failed`
  barren_streak,        // in a row without a birth
  no_improvement,       // since the one that bore the best measured generation, those that are
                        // measured; from the first that is
  repeated_action,      // in a row that say that they did the same
  trespasses,           // that were refused since they changed what is protected, in all
  iterations_per_hour,  // that ended within the last hour
  cost,                 // nano-dollars that the lineage spent
  age,                  // milliseconds since it began
  source_size,          // bytes of all files of its newest generation but the context
  source_growth,        // the same, as a multiple of the seed's
  context_size,         // bytes of its newest context
  near_duplicate,       // how much alike its newest change is to one of the same parent before it
};
inline constexpr std::size_t measures = 12;

struct rule {
  measure what = measure::failure_streak;
  double limit = 0;  // greater than 0
  lineage::policy_action action = lineage::policy_action::warn;
  // near_duplicate alone: what is hit is refused before it is built, and the lineage goes on.
  bool refuses = false;
  std::string text;  // in full, in one way: two rules of the same text are the same
};
using run_policy = std::vector<rule>;

inline constexpr std::size_t rules_max = 32;  // of one run

/// Errors name what was wrong and which measures, limits or actions there are.
result<rule> parse_rule(std::string_view text);
/// No more than rules_max, and none twice.
result<run_policy> parse_policy(const std::vector<std::string>& texts);

/// By how much two changes of one parent must be alike for the later one to be refused; 0: none is.
double refused_likeness(const run_policy& policy);

/// What a run is, as far as its rules depend on it.
struct policed_run {
  bool chooses_parents = false;  // by a strategy
  bool is_measured = false;
  bool has_model = false;
  std::int64_t seed_source_bytes = 0, seed_context_bytes = 0;  // 0: not known
};
/// Rules that could do nothing in such a run, or would act from its beginning on, are refused.
result<void> check_policy(const run_policy& policy, const policed_run& run);

/// One measure, for people: its name, how its limit is written, and what it measures.
struct measure_words {
  std::string_view name, limit, meaning;
};
const std::array<measure_words, measures>& known_measures();

/// How one iteration of the lineage ended.
struct step {
  std::int64_t ended_ms = 0;  // UTC
  lineage::ending how = lineage::ending::failed;
  std::string reason, action;
  std::int64_t cost_nanousd = 0;  // with its lost attempts
  std::string born;               // the generation; empty: none
  std::int64_t source_bytes = 0;  // of it; 0: not known
  std::int64_t parent_source_bytes = 0;
  std::int64_t context_bytes = 0;  // of the commit that it ended with; 0: not known
  double likeness = 0;             // of its change to that of another generation of its parent
  std::string like = {};           // that one, for people
};

/// What a lineage began with.
struct beginning {
  std::int64_t at_ms = 0;              // UTC
  std::string generation;              // that its first iteration may start from
  std::int64_t seed_source_bytes = 0;  // of the run's; 0: not known
  bool minimizes = false;
  bool is_measured = true;  // whether generations are measured at all
};

struct finding {
  const rule* by = nullptr;
  double value = 0;
  std::string words;  // "3 iterations in a row failed"
};

/// What a lineage did until now. Events are to be told in the order in which they happened.
class tally {
 public:
  explicit tally(beginning with);

  /// A generation that the lineage bore, or began with, is measured: its mean score, or none where
  /// no evaluation gave one. Of others nothing is taken.
  void measured(const std::string& generation, std::optional<double> mean);
  void add(const step& what);
  /// Generations of which measured() was not told.
  std::vector<std::string> unmeasured() const;

  double value(measure of) const { return now_.at(static_cast<std::size_t>(of)); }
  /// The rules that the last iteration added brought about.
  std::vector<finding> findings(const run_policy& policy) const;

 private:
  double& now(measure of) { return now_.at(static_cast<std::size_t>(of)); }
  std::string words_of(measure what) const;

  beginning with_;
  std::array<double, measures> now_{}, before_{};
  std::int64_t iterations_ = 0;
  std::map<std::string, std::int64_t> unmeasured_;  // by generation: which iteration bore it
  std::optional<double> best_;
  std::int64_t best_at_ = 0;  // the iteration that improved on what was before
  std::string last_action_;
  std::string like_;
  std::deque<std::int64_t> ended_ms_;  // within the last hour
};

/// The strongest of several; null where none does more than warn.
const finding* strongest(const std::vector<finding>& all);

}  // namespace germline::evolution
