// gateway_words: what the gateway's words for people say to the node: which budget a request was
// refused for, that a replay differs from its recording, and what a person has to do about a model
// that cannot be served. The words are made in worker/gateway; the test beside this holds both
// together. Pure functions; from any thread.
#pragma once

#include <optional>
#include <string>

#include "germline/v1/types.pb.h"
#include "worker/gateway/control.hpp"

namespace germline::worker {

/// Of what was left too little of for the newest request; unspecified: it was not refused for that.
v1::BudgetUnit refused_unit(const model_obstacle& obstacle);

/// In what a request that a replay refused differs from the recorded ones, and which it was; none:
/// `problem` says something else.
std::optional<std::string> replay_difference(const std::string& problem);

/// `why` a model cannot be served, and behind it how that is mended, where it does not say. How
/// what waits for it goes on is the coordinator's to say.
std::string with_remedy(const std::string& why);

}  // namespace germline::worker
