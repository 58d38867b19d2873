// keep_alive: what the server does about peers that vanish without a word: it asks those that are
// silent, ends their connections when no answer comes, lets workers ask as often as they do
// (worker/node/channel.cpp), and waits for a handshake no longer than for an answer. And how old a
// connection gets.
#pragma once

#include <grpcpp/server_builder.h>

namespace germline {

inline void keep_alive(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
}

/// Connections over TLS take no new calls after a while, and those that go on are left in peace. So
/// who has renewed its certificate shows the new one by its next call, although its channel is old.
inline void renew_connections(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, 10'000);
}

}  // namespace germline
