// iteration_sources: what one attempt starts from. It fetches what the attempt's lease names and
// this machine lacks (objects, sealed artefacts, what a run imports), and lays out the workspace
// that an agent finds. It runs no agent, judges nothing and ends nothing: iteration does. What is
// fetched is bounded here, whatever the lease says.
// Belongs to the attempt's thread. A cancel reaches it through the sandbox_set and the transfers.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/spool.hpp"
#include "worker/node/iteration.hpp"
#include "worker/node/transfers.hpp"

namespace germline::worker {

/// What an agent may push in one attempt, and so what may be imported in its place.
constexpr std::size_t max_pushed_bytes = 64 << 20;

/// What the run allows, or the node's default; less where the genome asks for less. With what the
/// genome's [deps] came to, once that is there.
sandbox_policy_spec policy_of(const v1::Lease& lease, const genome_commands& commands);
/// The task as an agent reads it that is started now.
std::string task_json_of(const v1::Lease& lease, const genome_commands& commands,
                         const clock& time);

/// What was born elsewhere, for a run that imports it.
struct given_objects {
  std::string pack;        // with what the parent's history has not
  std::string unreadable;  // not empty: it cannot be had by its own fault, and why
};

class iteration_sources {
 public:
  /// REQUIRES that all of it outlives this. What cannot be shown of the lease's inspirations is
  /// taken out of it.
  iteration_sources(const iteration_context& context, v1::Lease& lease, sandbox_set& sandboxes,
                    transfers& moves)
      : context_(context), lease_(lease), sandboxes_(sandboxes), moves_(moves) {}

  /// A pack with all that the commit reaches.
  result<spool> objects_of(const std::string& commit);
  /// The sealed artefact on this machine, fetched when it is not here yet; its hash is checked.
  result<artefact_pin> artefact_of(const std::string& id);
  result<given_objects> given();
  /// A sandbox with the agent's clone, of the lineage and of what inspires it, and its task.
  /// `history` is a pack of the parent, `artefact_dir` its artefact's tree.
  result<std::unique_ptr<live_sandbox>> open_workspace(const genome_commands& commands,
                                                       std::string_view history,
                                                       const std::string& artefact_dir);

 private:
  result<std::vector<spool>> inspiring_objects();
  result<std::unique_ptr<live_sandbox>> lay_out(const genome_commands& commands,
                                                std::string_view history,
                                                const std::string& artefact_dir,
                                                std::vector<spool>& inspiring);

  const iteration_context& context_;
  v1::Lease& lease_;
  sandbox_set& sandboxes_;
  transfers& moves_;
};

}  // namespace germline::worker
