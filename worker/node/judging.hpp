// judging: the second and third sandboxes of validation. The protected tests run here from a
// read-only checkout of the run's seed commit, against the sealed artefact under another uid; and
// the artefact makes its probation against a stand-in model. Blocking.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/node/building.hpp"

namespace germline::worker {

struct protected_request {
  std::vector<std::string_view> seed_packs;
  std::string seed_commit;
  std::string artefact_dir;  // on the host, beneath the exports root
  genome_commands commands;  // of the seed commit
  sandbox_policy_spec policy;
};

struct protected_report {
  std::string junit_xml;           // hostile bytes, from the descriptor that only the harness held
  std::optional<refusal> refused;  // the harness did not end with 0
};

result<protected_report> run_protected_tests(sandbox_set& sandboxes,
                                             const protected_request& request);

struct probation_request {
  std::vector<std::string_view> packs;
  std::string commit;
  std::string artefact_dir;
  std::string stand_in_dir;  // on the host, holds germline-stand-in
  genome_commands commands;
  std::string task_json;
  std::string model_name;
  sandbox_policy_spec policy;
};

/// The refusal, or none when the artefact passed.
result<std::optional<refusal>> run_probation(sandbox_set& sandboxes,
                                             const probation_request& request);

/// What an agent finds in its environment, for a run or for probation.
std::vector<std::string> agent_environment(const genome_commands& commands, int model_port,
                                           const std::string& token);
/// The part of it that tells where the model is.
std::vector<std::string> model_environment(int model_port, const std::string& token);

}  // namespace germline::worker
