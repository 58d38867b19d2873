// building: the first sandbox of validation. Lays out one commit in an empty workspace, builds it,
// reads the artefact out *before any test runs*, then runs the genome's own tests. Blocking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/spool.hpp"
#include "worker/gateway/control.hpp"
#include "worker/node/genome_commands.hpp"
#include "worker/node/sandbox_set.hpp"

namespace germline::worker {

struct build_request {
  std::vector<std::string_view> packs;
  std::string commit;
  genome_commands commands;
  sandbox_policy_spec policy;  // limits; what this step needs besides is put in
};

/// Why something was refused, as it stands in the record ("build", "test", "time", ...).
struct refusal {
  std::string reason;
  std::string details;  // for people and the next generation; bounded
};

struct build_report {
  std::optional<refusal> refused;  // none: built, and the own tests' command ended with 0
  spool artefact_tar;              // hostile bytes; empty when the build was refused
  std::string test_report;         // hostile bytes of the JUnit file; empty when there is none
  std::int64_t cpu_ms = 0;
  std::int64_t peak_memory_bytes = 0;
};

/// An error is the machine's fault; what the genome got wrong is in the report. `artefact_to` is
/// an empty spool, which comes back as the report's.
result<build_report> build_and_test(sandbox_set& sandboxes, const build_request& request,
                                    spool artefact_to);

/// What a step came to that the sandbox ended under: its time was up, which is the genome's doing;
/// else the error stands, which is the machine's.
result<refusal> explain_end(const error& why, live_sandbox& box, const clock& time,
                            const std::string& doing);

/// Why a commit that could not be laid out is refused; or the error, where the machine is at fault.
result<refusal> explain_clone(const error& why);

/// The reason and details of an agent that did not succeed. One that went by itself after its
/// newest request was kept from the model ends by that reason: "budget", "upstream", "dialect" or
/// "difference".
refusal explain_agent(const process_outcome& outcome, const model_obstacle& obstacle,
                      const std::string& output);
/// What stood in the way, for people. REQUIRES that something did.
std::string explain_obstacle(const model_obstacle& obstacle);

/// The reason and details of a process that did not succeed: `otherwise` when it exited non-zero.
refusal explain_outcome(const process_outcome& outcome, const std::string& doing,
                        const std::string& output, const std::string& otherwise);

}  // namespace germline::worker
