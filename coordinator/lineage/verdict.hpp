// verdict: a worker's result, reduced to what the record keeps of it. Pure; any thread.
#pragma once

#include <cstdint>

#include "coordinator/store/records.hpp"

namespace germline {

/// What the record keeps of a result, cut to its bounds.
records::verdict make_verdict(const v1::AttemptResult& result, const item_id& item,
                              std::int64_t now_ms);

}  // namespace germline
