// commands_of: what an iteration uses of a genome's manifest. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"
#include "worker/node/genome_commands.hpp"

namespace germline::worker {

/// Reads genome.toml; `folder` is where it lies in its repository.
result<genome_commands> commands_of(const std::string& genome_toml, const std::string& folder);

/// Names what building this source on this base gives.
std::string build_id_of(const std::string& source_id, const std::string& base_digest,
                        const genome_commands& commands);

}  // namespace germline::worker
