// control_service: the wire of control.proto: takes each call to `people` and its outcome back. At
// most 16 watchers at a time, so that they leave threads to others.
// gRPC calls it from threads of its own.
#pragma once

#include <grpcpp/server_builder.h>

#include <atomic>
#include <memory>

namespace germline {

class gate;
class people;

/// Makes the service. `stopping` ends its watchers, and so does `guard` (none: nobody dials from
/// elsewhere) once it no longer lets them in. REQUIRES that all of it outlives the server.
std::unique_ptr<grpc::Service> make_control_service(people& people,
                                                    const std::atomic<bool>& stopping,
                                                    const gate* guard);

}  // namespace germline
