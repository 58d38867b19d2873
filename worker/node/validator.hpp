// validator: the seam behind which a canonical commit is judged. `sandbox_validator` is the real
// one; only test binaries put another in its place: no flag, variable or key of the product does.
// Blocking; one attempt's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "germline/v1/fleet.pb.h"
#include "worker/node/artefact_cache.hpp"
#include "worker/node/building.hpp"
#include "worker/node/sandbox_set.hpp"

namespace germline::worker {

struct judge_request {
  std::vector<std::string_view> packs;  // the candidate's history, in order
  std::string commit;                   // canonical
  std::vector<std::string_view> seed_packs;
  std::string seed_commit;
  genome_commands commands;                 // of the parent
  genome_commands seed_commands;            // of the seed; the protected tests' path and folder
  std::vector<std::string> expected_tests;  // protected test names; empty when founding
  bool founding = false;
  std::string task_json;  // for probation
  std::string model_name;
  sandbox_policy_spec policy;
};

struct judgement {
  std::optional<refusal> refused;
  artefact_pin artefact;                     // what was sealed; to be kept when it is born
  std::string artefact_id;                   // set when nothing was refused
  spool artefact_tar;                        // what the artefact was sealed from, as it is sent
  std::vector<std::string> protected_tests;  // names, when founding
  std::vector<v1::TestOutcome> tests;
  std::int64_t cpu_ms = 0;
  std::int64_t peak_memory_bytes = 0;
};

/// Told when a new phase begins.
using phase_sink = std::function<void(v1::IterationPhase, const std::string& step)>;

class validator {
 public:
  virtual ~validator() = default;
  /// An error is the machine's fault; what the candidate got wrong is in the judgement.
  virtual result<judgement> judge(sandbox_set& sandboxes, const judge_request& request,
                                  const phase_sink& phase) = 0;
};

}  // namespace germline::worker
