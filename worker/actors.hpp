// Every typed actor interface of the worker, with its messages. Reads as the worker's diagram:
//
//   fleet_client ─messages─▶ node_actor ──────start──────▶ iteration_actor (one per attempt)
//        ▲                    │ │  ▲                                 │
//        └──── what to send ──┘ │  └──── progress, how it ended ─────┘
//                               └──renew/cancel─▶ keeper_actor (one per attempt)
//
// node_actor is event-based and never blocks: it carries out the effects of node_state. An
// iteration_actor and a keeper_actor are detached, since they wait for sandboxes and the gateway;
// they live as long as their attempt.
// Protos travel behind shared_ptr inside this process only; gRPC is the only wire.
#pragma once

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "germline/v1/fleet.pb.h"

namespace germline::worker {

using coordinator_message_ptr = std::shared_ptr<const v1::CoordinatorMessage>;
using attempt_progress_ptr = std::shared_ptr<const v1::AttemptProgress>;
/// How an attempt ended: judged, or without a verdict.
using attempt_end = std::variant<v1::AttemptResult, v1::AttemptCleaned>;
using late_accounts_ptr = std::shared_ptr<const v1::LateAccounts>;
using attempt_end_ptr = std::shared_ptr<const attempt_end>;

}  // namespace germline::worker

CAF_BEGIN_TYPE_ID_BLOCK(germline_worker, first_custom_type_id)
CAF_ADD_TYPE_ID(germline_worker, (germline::worker::coordinator_message_ptr))
CAF_ADD_TYPE_ID(germline_worker, (germline::worker::attempt_progress_ptr))
CAF_ADD_TYPE_ID(germline_worker, (germline::worker::attempt_end_ptr))
CAF_ADD_TYPE_ID(germline_worker, (germline::worker::late_accounts_ptr))
CAF_ADD_ATOM(germline_worker, germline::worker, connected_atom, "connected")
CAF_ADD_ATOM(germline_worker, germline::worker, broken_atom, "broken")
CAF_ADD_ATOM(germline_worker, germline::worker, tick_atom, "tick")
CAF_ADD_ATOM(germline_worker, germline::worker, stop_atom, "stop")
CAF_ADD_ATOM(germline_worker, germline::worker, begin_atom, "begin")
CAF_ADD_ATOM(germline_worker, germline::worker, renew_atom, "renew")
CAF_ADD_ATOM(germline_worker, germline::worker, cancel_atom, "cancel")
CAF_END_TYPE_ID_BLOCK(germline_worker)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::worker::coordinator_message_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::worker::attempt_progress_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::worker::attempt_end_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(germline::worker::late_accounts_ptr)

namespace germline::worker {

using node_actor = caf::typed_actor<
    /// The stream to the coordinator stands, or broke.
    caf::reacts_to<connected_atom>, caf::reacts_to<broken_atom>,
    /// The coordinator said something.
    caf::reacts_to<coordinator_message_ptr>,
    /// Heartbeat time; sent by the actor to itself.
    caf::reacts_to<tick_atom>,
    /// An attempt got on; from the gateway and from iteration actors.
    caf::reacts_to<attempt_progress_ptr>,
    /// What the gateway's journals say; from who reads them.
    caf::reacts_to<late_accounts_ptr>,
    /// An attempt ended; nothing of it is left.
    caf::reacts_to<attempt_end_ptr>,
    /// Cancel everything; the actor ends when the last attempt is gone.
    caf::reacts_to<stop_atom>>;

using keeper_actor = caf::typed_actor<
    /// The lease now stands until this CLOCK_BOOTTIME, in milliseconds. Blocks.
    caf::reacts_to<renew_atom, std::int64_t>,
    /// End the attempt; why, for people. Blocks.
    caf::reacts_to<cancel_atom, std::string>>;

using iteration_actor = caf::typed_actor<
    /// Run the attempt from start to end, then report to the node actor and quit. Blocks.
    caf::reacts_to<begin_atom>>;

}  // namespace germline::worker
