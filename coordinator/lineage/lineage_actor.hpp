// lineage_actor: carries out the effects of lineage_state for one lineage. Owns the lineage's state
// and is the only one that writes its row. It deals with one event at a time: the next waits until
// the record has answered. See coordinator/actors.hpp for its messages.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>
#include <functional>
#include <string>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"

namespace germline {

struct lineage_actor_state {
  static inline const char* name = "lineage";
  lineage::state current;
  std::string branch_commit;  // where the branch was last put
  bool busy = false;
  std::deque<std::function<void()>> waiting;
};

struct lineage_config {
  environment env;
  store_actor store;
  refs_actor refs;
  dispatcher_actor dispatcher;
  lineage::state state;
  std::string branch_commit;
  std::string folder;        // of the genome in its repository
  bool loaded = false;       // from the record: go on where it was
  bool item_leased = false;  // the dispatcher has the live item already
};

lineage_actor::behavior_type lineage_behavior(
    lineage_actor::stateful_pointer<lineage_actor_state> self, lineage_config config);

/// What the record keeps of a result, cut to its bounds.
records::verdict make_verdict(const v1::AttemptResult& result, const item_id& item,
                              std::int64_t now_ms);

}  // namespace germline
