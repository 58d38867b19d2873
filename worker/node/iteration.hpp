// iteration: one attempt of one work item from lease to result: preparing, running, importing,
// validating, probation, reporting. Every sandbox it opens is gone when run() returns. It decides
// nothing about lineages: the coordinator accepts or refuses its result.
// run() blocks and belongs to one thread; cancel() and renew() may come from any.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "worker/node/artefact_cache.hpp"
#include "worker/node/deps.hpp"
#include "worker/node/model_access.hpp"
#include "worker/node/node_actor.hpp"
#include "worker/node/object_cache.hpp"
#include "worker/node/sandbox_set.hpp"
#include "worker/node/storage.hpp"
#include "worker/node/transport.hpp"
#include "worker/node/validator.hpp"

namespace germline::worker {

/// What all attempts of a worker share. Everything outlives the attempts.
struct iteration_context {
  std::string worker_id;
  std::string base_digest;
  sandbox_backend* backend = nullptr;
  transport* bulk = nullptr;
  validator* judge = nullptr;
  model_access* models = nullptr;
  const clock* time = nullptr;
  artefact_cache* artefacts = nullptr;  // beneath the exports root
  object_cache* objects = nullptr;
  storage* disk = nullptr;
  deps_store* deps = nullptr;  // its layers lie beneath the exports root
  std::string programs_dir;    // beneath the exports root; holds importer and stand-in
};

std::shared_ptr<running_attempt> make_iteration(const iteration_context& context,
                                                const v1::Lease& lease,
                                                std::int64_t lease_until_boot_ms,
                                                progress_sink progress);

}  // namespace germline::worker
