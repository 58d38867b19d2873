// channel: how a worker's connections to the coordinator are made. Each channel has a connection of
// its own, so that bulk never stands before a heartbeat, and asks a silent peer whether it is
// there. Any thread.
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "common/grpc_tls.hpp"

namespace germline::worker {

/// Connects when it is used first. A peer that is gone without a word is noticed within about 10 s.
std::shared_ptr<grpc::Channel> make_channel(const endpoint& coordinator);

}  // namespace germline::worker
