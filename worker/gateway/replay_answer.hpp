// replay_answer: what a replay says as a provider's answer: as it was recorded, with the usage that
// it was charged by, which the client of a stream may not have got; or an error in the path's
// dialect.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "worker/gateway/replay.hpp"
#include "worker/gateway/upstream.hpp"

namespace germline::worker {

struct replay_answer {
  unsigned status = 0;
  bool streams = false;
  std::string body;
  bool cut = false;                   // only its beginning was recorded
  std::optional<recorded_bill> bill;  // none: nothing was recorded
  std::string difference = {};        // why there is none; as upstream_head
};

replay_answer answer_of(std::variant<recorded_exchange, replay_refusal> said,
                        std::string_view path);

}  // namespace germline::worker
