#include "worker/gateway/api_keys.hpp"

#include <cstdlib>
#include <cstring>
#include <map>

#include "worker/gateway/plain_text.hpp"

namespace germline::worker {
namespace {

constexpr const char* common_variable = "ANTHROPIC_API_KEY";

}  // namespace

result<std::vector<gateway_key>> take_api_keys(const gateway_config& config) {
  std::map<std::string, std::string> variables;  // by the name that the gateway knows
  for (const auto& one : config.upstreams) {
    if (!one.key_env.empty()) variables[one.key_env] = one.key_env;
  }
  if (variables.empty() && config.upstreams.size() == 1) variables[""] = common_variable;
  std::vector<gateway_key> keys;
  for (const auto& [name, variable] : variables) {
    char* const value = std::getenv(variable.c_str());
    if (value == nullptr) continue;
    auto& key = keys.emplace_back(gateway_key{name, value}).key;
    ::explicit_bzero(value, std::strlen(value));  // it shows in /proc/PID/environ otherwise
    ::unsetenv(variable.c_str());
    while (key.ends_with('\n')) key.pop_back();
    GERMLINE_TRY(check_secret(key, "the API key in the environment's " + variable));
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
