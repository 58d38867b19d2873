// usage_of: what the gateway counted, as the wire has it. Pure.
#pragma once

#include "germline/v1/types.pb.h"
#include "worker/gateway/control.hpp"

namespace germline::worker {

inline v1::Usage usage_of(const gateway_usage& used) {
  v1::Usage usage;
  usage.set_requests(used.requests);
  usage.set_input_tokens(used.input_tokens);
  usage.set_output_tokens(used.output_tokens);
  usage.set_cache_read_tokens(used.cache_read_tokens);
  usage.set_cache_write_tokens(used.cache_write_tokens);
  usage.set_cost_nanousd(used.cost_nanousd);
  return usage;
}

}  // namespace germline::worker
