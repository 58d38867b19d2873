#include "worker/gateway/api_keys.hpp"

#include <cstdlib>
#include <cstring>
#include <map>

namespace germline::worker {
namespace {

constexpr const char* common_variable = "ANTHROPIC_API_KEY";

}  // namespace

std::vector<gateway_key> take_api_keys(const gateway_config& config) {
  std::map<std::string, std::string> variables;  // by the name that the gateway knows
  for (const auto& one : config.upstreams) {
    if (!one.key_env.empty()) variables[one.key_env] = one.key_env;
  }
  if (variables.empty() && config.upstreams.size() == 1) variables[""] = common_variable;
  std::vector<gateway_key> keys;
  for (const auto& [name, variable] : variables) {
    char* const value = std::getenv(variable.c_str());
    if (value == nullptr) continue;
    keys.push_back({name, value});
    ::explicit_bzero(value, std::strlen(value));  // it shows in /proc/PID/environ otherwise
    ::unsetenv(variable.c_str());
  }
  ::unsetenv(common_variable);
  return keys;
}

result<std::vector<gateway_key>> take_api_keys(const std::string& gateway_config_file) {
  if (gateway_config_file.empty()) {
    ::unsetenv(common_variable);
    return std::vector<gateway_key>();
  }
  GERMLINE_TRY_ASSIGN(const auto config, load_gateway_config(gateway_config_file));
  return take_api_keys(config);
}

}  // namespace germline::worker
