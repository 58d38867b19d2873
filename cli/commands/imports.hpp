// imports: which generations of an archive a new run is to try first. For one thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/client.hpp"
#include "common/result.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

/// The best `count` generations, the best first, of `source`: a file of `germline archive export`
/// in JSON Lines, or else a run that the coordinator knows. The seed and what was killed are not
/// among them, nor what has no score. Errors name the file's line.
result<std::vector<v1::ImportedGeneration>> find_imports(control_client& client,
                                                         const std::string& source,
                                                         std::size_t count);

}  // namespace germline::cli
