#include "cli/render/failure.hpp"

#include "cli/render/render.hpp"

namespace germline::cli {

std::string failure_json(const error& failure) {
  return "{\"error\": {\"code\": " + json_string(to_string(failure.code())) +
         ", \"message\": " + json_string(failure.message()) + "}}\n";
}

}  // namespace germline::cli
