// evaluating: measures a generation's fitness once. The evaluator, of the run's seed commit, and
// the candidate, the generation's sealed artefact, run in two sandboxes of their own, joined by a
// pipe each way: what the one writes on its standard output the other reads on its standard input.
// The score leaves on descriptor 3, which the evaluator alone holds. Nothing of the evaluator's
// (its files, its random seed, its environment) is in the candidate's sandbox. Blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/node/building.hpp"
#include "worker/validation/score.hpp"

namespace germline::worker {

struct evaluation_request {
  std::vector<std::string_view> seed_packs;
  std::string seed_commit;
  std::string artefact_dir;  // on the host, beneath the exports root
  std::string held_out_dir;  // the same, of what the evaluator alone sees; empty: nothing
  genome_commands commands;  // of the seed commit
  sandbox_policy_spec policy;
  std::uint64_t random_seed = 0;
  // Where the candidate has a model: opens it for the sandbox, which is then to be closed by the
  // caller whatever becomes of the evaluation; what the candidate finds in its environment for it.
  std::function<result<std::vector<std::string>>(live_sandbox& candidate)> open_model = nullptr;
};

struct evaluation {
  std::optional<evaluation_score> score;
  refusal why;          // without a score
  std::string details;  // what the evaluator said on standard error where it gave a score, and how
                        // a candidate that went by itself ended, with what it said there
  std::int64_t cpu_ms = 0;
  std::int64_t peak_memory_bytes = 0;  // of the larger of the two
};

result<evaluation> evaluate(sandbox_set& sandboxes, const evaluation_request& request);

}  // namespace germline::worker
