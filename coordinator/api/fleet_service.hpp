// fleet_service: the wire of fleet.proto. Join is a callback stream bridged to a session actor; the
// bulk transfers are bulk_transfers'. Owns those, and nothing else.
// gRPC calls it from threads of its own.
#pragma once

#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "common/result.hpp"

namespace caf {
class actor_system;
}

namespace germline {

class clock;
class gate;
class record_reader;
namespace refs {
class git_refs;
struct repository_places;
}  // namespace refs

struct actor_handles;

/// Makes the service. `guard` may be null, where nobody calls over TLS. REQUIRES that everything
/// given outlives the server.
std::unique_ptr<grpc::Service> make_fleet_service(caf::actor_system& system,
                                                  const actor_handles& actors, const clock& time,
                                                  record_reader& reader, refs::git_refs& repository,
                                                  const refs::repository_places& places,
                                                  const gate* guard);

}  // namespace germline
