// dispatcher: carries out the effects of dispatch_state. Owns that state, the links to workers and
// the handles of the items' owners. It decides nothing itself and writes nothing: grants and losses
// go to the store actor. See coordinator/actors.hpp for its messages.
#pragma once

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/actors.hpp"
#include "coordinator/environment.hpp"
#include "coordinator/health.hpp"

namespace germline {

struct dispatcher_state {
  static inline const char* name = "dispatcher";

  struct waiting_kill {
    caf::typed_response_promise<kill_outcome> promise;
    std::int64_t since_ms = 0;
  };

  dispatch::state decisions;
  std::map<std::string, item_owner> owners;               // by item
  std::map<std::string, lease_ptr> leases;                // by item: granted, to be sent
  std::map<std::string, result_ptr> results;              // by attempt: to be judged
  std::map<std::string, worker_link_ptr> links;           // by worker
  std::map<std::string, std::deque<waiting_kill>> kills;  // by scope, the oldest first
  std::vector<v1::ProgressEvent> events;                  // to be kept at the next tick
};

struct dispatcher_config {
  environment env;
  store_actor store;
  dispatch::timing times;
  std::string coordinator_id;
  std::vector<records::known_worker> workers;  // that the record knows
  std::shared_ptr<const health> well;
};

dispatcher_actor::behavior_type dispatcher_behavior(
    dispatcher_actor::stateful_pointer<dispatcher_state> self, dispatcher_config config);

}  // namespace germline
