// held_out: files that a run keeps for its evaluators alone, as a sealed artefact. Plain values.
#pragma once

#include <cstdint>
#include <string>

#include "common/artefact/artefact_manifest.hpp"

namespace germline::artefact {

inline constexpr limits held_out_limits{16 << 20, 16 << 20, 1'000};

struct held_out {
  std::string id;  // the artefact's; empty: there are none
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};

}  // namespace germline::artefact
