#include "common/config/config.hpp"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "common/amount.hpp"
#include "common/assert.hpp"
#include "common/config/toml_values.hpp"
#include "common/text/mirrors.hpp"
#include "common/text/tags.hpp"
#include "common/text/units.hpp"

namespace germline {
namespace {

using environment_function = std::function<std::optional<std::string>(std::string_view)>;

enum class form {
  text,
  path,
  address,
  count,
  tags,
  mirrors,
  spending,
  spent_tokens,
  spent_requests
};

struct known_key {
  std::string_view key;
  std::string_view variable;
  std::string_view flag;
  form shape;
  std::int64_t lowest = 1;  // of a count
  std::int64_t highest = 1;
};

constexpr std::array<known_key, 19> known{{
    {"coordinator", "GERMLINE_COORDINATOR", "--coordinator", form::address},
    {"state_dir", "GERMLINE_STATE_DIR", "--state-dir", form::path},
    {"share_dir", "GERMLINE_SHARE", "", form::text},
    {"libexec_dir", "GERMLINE_LIBEXEC", "", form::text},
    {"worker.slots", "GERMLINE_WORKER_SLOTS", "--slots", form::count, 1, 1024},
    {"worker.tags", "GERMLINE_WORKER_TAGS", "--tag", form::tags},
    {"worker.gateway_config", "GERMLINE_WORKER_GATEWAY_CONFIG", "--gateway-config", form::text},
    {"worker.mirrors", "GERMLINE_WORKER_MIRRORS", "--mirror", form::mirrors},
    {"worker.mirrors_config", "GERMLINE_WORKER_MIRRORS_CONFIG", "--mirrors-config", form::text},
    {"worker.socket_group", "GERMLINE_WORKER_SOCKET_GROUP", "--socket-group", form::count, 0,
     4'294'967'294},
    {"worker.join_token", "GERMLINE_JOIN_TOKEN", "--token", form::text},
    {"tls_listen", "GERMLINE_TLS_LISTEN", "--tls-listen", form::text},
    {"tls_dir", "GERMLINE_TLS_DIR", "--tls-dir", form::text},
    {"pki_dir", "GERMLINE_PKI_DIR", "--pki-dir", form::text},
    {"fleet_budget", "GERMLINE_FLEET_BUDGET", "--fleet-budget", form::spending},
    {"fleet_token_budget", "GERMLINE_FLEET_TOKEN_BUDGET", "--fleet-token-budget",
     form::spent_tokens},
    {"fleet_request_budget", "GERMLINE_FLEET_REQUEST_BUDGET", "--fleet-request-budget",
     form::spent_requests},
    // Less than the command line waits for an answer to a kill.
    {"kill_wait_s", "GERMLINE_KILL_WAIT_S", "", form::count, 1, 50},
    {"uid_base", "GERMLINE_UID_BASE", "", form::count, 65'536, 4'200'000'000},
}};

std::string default_of(std::string_view key, const config_sources& sources) {
  const auto home = sources.environment("HOME").value_or("");
  if (key == "coordinator") {
    const auto runtime = sources.environment("XDG_RUNTIME_DIR").value_or("");
    return "unix:" + (sources.is_root || runtime.empty() ? "/run" : runtime) +
           "/germline/control.sock";
  }
  if (key == "state_dir") {
    return sources.is_root || home.empty() ? "/var/lib/germline" : home + "/.local/state/germline";
  }
  if (key == "worker.slots") return "1";
  if (key == "worker.socket_group") return "0";
  if (key == "kill_wait_s") return "45";
  if (key == "uid_base") return "1879048192";
  return "";
}

/// The services that are told of it are not started where the caller stands.
std::string from_here(const std::string& path) {
  std::error_code failed;
  const auto absolute = std::filesystem::absolute(path, failed);
  if (failed) return path;
  auto clean = absolute.lexically_normal().string();
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  return clean;
}

/// Of which the value is a limit.
std::optional<unit> unit_of(form shape) {
  if (shape == form::spending) return unit::money;
  if (shape == form::spent_tokens) return unit::tokens;
  if (shape == form::spent_requests) return unit::requests;
  return std::nullopt;
}

result<void> check_form(const known_key& key, std::string_view value) {
  if (key.shape == form::path && value.empty()) {
    return error(error_code::invalid_argument, "must not be empty: name a folder");
  }
  if (key.shape == form::address && !value.starts_with("unix:/") &&
      value.rfind(':') == std::string_view::npos) {
    return error(error_code::invalid_argument,
                 "'" + std::string(value) + "' is no address; write unix:/path or HOST:PORT");
  }
  if (key.shape == form::tags) GERMLINE_TRY(parse_tags(value));
  if (key.shape == form::mirrors) GERMLINE_TRY(parse_mirrors(value));
  if (const auto of = unit_of(key.shape); of && !value.empty()) {
    GERMLINE_TRY(parse_spending_limit(*of, value));
  }
  if (key.shape == form::count) {
    std::int64_t number = 0;
    const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (failed != std::errc() || end != value.data() + value.size() || number < key.lowest ||
        number > key.highest) {
      return error(error_code::invalid_argument,
                   "'" + std::string(value) + "' is no whole number from " +
                       std::to_string(key.lowest) + " to " + std::to_string(key.highest));
    }
  }
  return {};
}

std::string text_of(const toml_value& value) {
  if (const auto* text = std::get_if<std::string>(&value.value)) return *text;
  if (const auto* number = std::get_if<std::int64_t>(&value.value)) return std::to_string(*number);
  if (const auto* boolean = std::get_if<bool>(&value.value)) return *boolean ? "true" : "false";
  if (const auto* list = std::get_if<std::vector<std::string>>(&value.value)) {
    return join_tags(*list, ",");
  }
  return std::to_string(std::get<double>(value.value));
}

/// The file's values by key, each with its place.
result<std::map<std::string, setting>> read_file(const config_sources& sources) {
  std::map<std::string, setting> found;
  if (sources.file_name.empty()) return found;
  GERMLINE_TRY_ASSIGN(const auto values, parse_toml(sources.file_text, sources.file_name));
  std::vector<std::string_view> names{"schema"};
  for (const auto& key : known) names.push_back(key.key);
  bool has_schema = false;
  for (const auto& value : values) {
    const auto place = sources.file_name + ":" + std::to_string(value.line);
    if (value.key == "schema") {
      if (text_of(value) != "1") {
        return error(error_code::invalid_argument, place + ": `schema` must be 1");
      }
      has_schema = true;
      continue;
    }
    bool is_known = false;
    for (const auto name : names) is_known = is_known || name == value.key;
    if (!is_known) {
      return error(error_code::invalid_argument,
                   place + ": " + unknown_key_message(value.key, names));
    }
    const bool is_list = std::holds_alternative<std::vector<std::string>>(value.value);
    if (is_list && value.key != "worker.tags" && value.key != "worker.mirrors") {
      return error(error_code::invalid_argument, place + ": `" + value.key + "` takes one value");
    }
    found[value.key] = {value.key, text_of(value), place};
  }
  if (!has_schema) {
    return error(error_code::invalid_argument,
                 sources.file_name + ": `schema = 1` is missing at the top");
  }
  return found;
}

}  // namespace

result<config> config::load(const config_sources& sources) {
  GERMLINE_TRY_ASSIGN(const auto file, read_file(sources));
  config loaded;
  for (const auto& key : known) {
    setting found{std::string(key.key), default_of(key.key, sources), "default"};
    if (const auto entry = file.find(found.key); entry != file.end()) found = entry->second;
    if (auto value = sources.environment(key.variable); value && !value->empty()) {
      found = {found.key, *value, std::string(key.variable)};
    }
    if (const auto flag = sources.flags.find(found.key); flag != sources.flags.end()) {
      found = {found.key, flag->second, "flag " + std::string(key.flag)};
    }
    if (const auto fits = check_form(key, found.value); !fits) {
      return fits.error().within(found.origin + ": `" + found.key + "`");
    }
    if (key.shape == form::path) found.value = from_here(found.value);
    loaded.settings_.push_back(std::move(found));
  }
  return loaded;
}

const std::string& config::get(std::string_view key) const {
  for (const auto& found : settings_) {
    if (found.key == key) return found.value;
  }
  GERMLINE_ASSERT(false && "no such setting");
}

std::int64_t config::get_int(std::string_view key) const {
  const auto& text = get(key);
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string config_path(const environment_function& environment) {
  if (auto path = environment("GERMLINE_CONFIG"); path && !path->empty()) return *path;
  if (auto base = environment("XDG_CONFIG_HOME"); base && !base->empty()) {
    return *base + "/germline/config.toml";
  }
  if (auto home = environment("HOME"); home && !home->empty()) {
    return *home + "/.config/germline/config.toml";
  }
  return "";
}

std::optional<std::string> environment_variable(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());  // NOLINT(concurrency-mt-unsafe)
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

result<config_sources> process_config_sources() {
  config_sources sources;
  sources.environment = &environment_variable;
  sources.is_root = ::geteuid() == 0;
  const auto path = config_path(sources.environment);
  if (path.empty()) return sources;
  auto text = read_small_file(path);
  if (!text) {
    const bool named = environment_variable("GERMLINE_CONFIG").value_or("") == path;
    if (text.error().code() == error_code::not_found && !named) return sources;
    return text.error();
  }
  sources.file_text = std::move(*text);
  sources.file_name = path;
  return sources;
}

}  // namespace germline
