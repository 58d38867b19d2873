// protocol: the messages between client, zygote, supervisor and init. Each is a wire message whose
// first value is one of these kinds. Private to sandbox/; both ends are always of one build.
//
//   client -> zygote      create{policy}            -> created{pid, name} + the supervisor's socket
//                                                      | failed
//                         recover{}, end{name}      -> done{} | failed
//   client -> supervisor  start{request, spec...}   -> started{request, id} | failed{request, text}
//                         signal, usage, renew, kill, destroy {request, ...} -> done{request, ...}
//   supervisor -> client  ready{} + listener | failed{0, text}; exited{id, outcome};
//                         ended{proof} when it ends unasked
//   supervisor -> init    configure{bpf, ...}, start{id, ...} + stdio, signal{id, signal}
//   init -> supervisor    hello{}, started{id}, failed{id, text}, exited{id, status, usage}
//   as-candidate -> init  run{cwd, argv, env} + stdio -> exited{status}
#pragma once

#include <cstdint>

namespace germline::protocol {

enum class kind : std::uint8_t {
  create = 1,
  recover,
  created,
  done,
  failed,
  ready,
  start,
  started,
  exited,
  signal,
  usage,
  renew,
  kill,
  destroy,
  configure,
  hello,
  run,
  end,
  ended,
};

/// Which descriptors go with a start message, in this order.
constexpr std::uint8_t has_stdin = 1;
constexpr std::uint8_t has_stdout = 2;
constexpr std::uint8_t has_stderr = 4;
constexpr std::uint8_t has_report = 8;

/// Processes that one sandbox may have started and not yet collected.
constexpr std::size_t processes_max = 64;

}  // namespace germline::protocol
