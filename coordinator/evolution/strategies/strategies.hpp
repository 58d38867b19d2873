// The strategies by name; strategy.cpp has the table. Each function says what `options` it takes;
// one that it does not know is an error. Internal to coordinator/evolution.
#pragma once

#include "coordinator/evolution/strategy.hpp"

namespace germline::evolution {

using options = std::map<std::string, std::string>;

inline error invalid(std::string why) {
  return {error_code::invalid_argument, std::move(why)};
}

/// Each is given the options that were said, and puts in those that were not.
result<chooser> make_best(options& given);
result<chooser> make_random(options& given);
result<chooser> make_seed(options& given);
result<chooser> make_archive_sampling(options& given);

}  // namespace germline::evolution
