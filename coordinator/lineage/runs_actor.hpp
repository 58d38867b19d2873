// runs_actor: makes runs, judges the results of their found items, and knows every lineage's actor.
// See coordinator/actors.hpp for its messages.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"

namespace germline {

struct run_entry {
  run_id id;
  std::string seed_commit;
  std::string folder;  // of the genome in its repository
  records::measuring measured;
  item_id found_item;                    // while the seed is not founded
  std::vector<lineage_actor> unfounded;  // that wait for it
};

/// Gathers the outcomes of a kill over many lineages into one reply.
struct gathered_kill {
  caf::typed_response_promise<kill_outcomes> promise;
  kill_target target;
  std::set<std::string> asked;  // lineages
  kill_outcomes outcomes;
  std::size_t waiting = 0;  // for answers
};

struct runs_actor_state {
  static inline const char* name = "runs";
  std::map<std::string, run_entry> runs;
  std::map<std::string, lineage_actor> lineages;
  std::vector<std::function<void()>> later;  // tried again at the next check: the disk is full
  int forks_in_flight = 0;                   // asked of the record, not answered
  std::vector<std::shared_ptr<gathered_kill>> clade_kills;  // that go on
};

struct runs_config {
  environment env;
  store_actor store;
  refs_actor refs;
  dispatcher_actor dispatcher;
  evaluations_actor evaluations;
  records::loaded loaded;                    // what goes on from before
  std::chrono::milliseconds check_interval;  // of the branches
};

runs_actor::behavior_type runs_behavior(runs_actor::stateful_pointer<runs_actor_state> self,
                                        runs_config config);

}  // namespace germline
