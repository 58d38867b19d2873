// runs_actor: makes runs, judges the results of their found items, and knows every lineage's actor.
// Each lineage of a run follows the strategy `chain`: the parent of an iteration is always the
// lineage's own head, which lineage_state holds. See coordinator/actors.hpp for its messages.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"

namespace germline {

struct run_entry {
  run_id id;
  std::string seed_commit;
  std::string folder;                    // of the genome in its repository
  item_id found_item;                    // while the seed is not founded
  std::vector<lineage_actor> unfounded;  // that wait for it
};

struct runs_actor_state {
  static inline const char* name = "runs";
  std::map<std::string, run_entry> runs;
  std::map<std::string, lineage_actor> lineages;
};

struct runs_config {
  environment env;
  store_actor store;
  refs_actor refs;
  dispatcher_actor dispatcher;
  records::loaded loaded;                    // what goes on from before
  std::chrono::milliseconds check_interval;  // of the branches
};

runs_actor::behavior_type runs_behavior(runs_actor::stateful_pointer<runs_actor_state> self,
                                        runs_config config);

}  // namespace germline
