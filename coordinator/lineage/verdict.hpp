// verdict: a worker's result, reduced to what the record keeps of it. Any thread.
#pragma once

#include <cstdint>

#include "coordinator/environment.hpp"
#include "coordinator/store/records.hpp"

namespace germline {

/// What the record keeps of a result, cut to its bounds.
records::verdict make_verdict(const v1::AttemptResult& result, const item_id& item,
                              std::int64_t now_ms);

/// The items by which a generation that is born is to be measured.
std::vector<item_id> make_evaluations(const environment& env, const records::measuring& measured);

}  // namespace germline
