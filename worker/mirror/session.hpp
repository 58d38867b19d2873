// session: one connection from a fetch's sandbox to its mirrors. Hostile bytes arrive here. It
// answers GET and HEAD of paths that the routes know, and nothing else: of a request, nothing but
// the path and three harmless headers goes out, of an answer five headers and the body come in.
// Blocking, with bounds; each connection has a thread of its own.
#pragma once

namespace germline::worker {

class door;

/// Serves until the connection ends or the door is cut. `socket` does not block, and stays the
/// caller's.
void serve_connection(door& owner, int socket);

}  // namespace germline::worker
