// lineage_actor: carries out the effects of lineage_state for one lineage. Owns the lineage's state
// and is the only one that writes its row. It deals with one event at a time: the next waits until
// the record has answered. What the record or the repository cannot take, since the disk is full,
// is tried again until they can. See coordinator/actors.hpp for its messages.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"

namespace germline {

struct lineage_actor_state {
  static inline const char* name = "lineage";
  lineage::state current;
  std::string branch_commit;  // where the branch was last put
  bool busy = false;
  std::deque<std::function<void()>> waiting;

  // While the coordinator's disk is full. What could not be stored is tried again at each check:
  // the job under way, which others wait behind unless it is `abandoned` for a kill, and what is no
  // job.
  std::function<void()> again, abandon;
  std::vector<std::function<void()>> later;
  std::string trouble;  // of the job that is tried again
  int kills_waiting = 0;

  bool waits_for_score = false;  // its next parent is chosen once its newest generation is measured
};

struct lineage_config {
  environment env;
  store_actor store;
  refs_actor refs;
  dispatcher_actor dispatcher;
  evaluations_actor evaluations;
  caf::weak_actor_ptr runs;  // the runs_actor that made it, and has it killed by policy
  records::measuring measured;
  lineage::state state;
  std::string branch_commit;
  std::string folder;        // of the genome in its repository
  bool loaded = false;       // from the record: go on where it was
  bool item_leased = false;  // the dispatcher has the live item already
};

lineage_actor::behavior_type lineage_behavior(
    lineage_actor::stateful_pointer<lineage_actor_state> self, lineage_config config);

}  // namespace germline
