// Finds the JSON object in what a model said. Pure, and tolerant: models wrap it in prose and
// fences.
#pragma once

#include <string>

#include "json.hpp"

namespace agent {

/// The last complete JSON object in `text` that has the member `name`; null if there is none.
json find_object(const std::string& text, const std::string& name);

}  // namespace agent
