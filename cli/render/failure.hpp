// failure: what went wrong, as JSON for programs: {"error": {"code": "not_found", "message":
// "..."}}. People are told in words on standard error. Pure; any thread.
#pragma once

#include <string>

#include "common/result.hpp"

namespace germline::cli {

/// One line, with its line end.
std::string failure_json(const error& failure);

}  // namespace germline::cli
