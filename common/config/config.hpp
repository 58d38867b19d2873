// config: the settings of this machine's user: where the coordinator listens, where state is kept.
// Resolved once at start, by precedence flag > GERMLINE_* > file > default, and each value knows
// where it came from. Not run.toml: that says what to run.
// Immutable after load; may be read from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline {

struct setting {
  std::string key;  // "worker.slots"
  std::string value;
  std::string origin;  // "flag --slots", "GERMLINE_WORKER_SLOTS", "/etc/x.toml:3", "default"
};

/// Where values may come from. Plain data and one function, so that tests need no environment.
struct config_sources {
  std::map<std::string, std::string> flags;  // by key
  std::function<std::optional<std::string>(std::string_view)> environment;
  std::string file_text;  // of config.toml; empty: there is none
  std::string file_name;
  bool is_root = false;
};

class config {
 public:
  /// Refuses unknown keys (naming the nearest known one) and values of the wrong form.
  static result<config> load(const config_sources& sources);

  /// REQUIRES that `key` is one of known_keys().
  const std::string& get(std::string_view key) const;
  std::int64_t get_int(std::string_view key) const;

  const std::vector<setting>& all() const noexcept { return settings_; }

 private:
  std::vector<setting> settings_;
};

/// Path of config.toml: GERMLINE_CONFIG, else XDG_CONFIG_HOME or ~/.config, germline/config.toml.
/// Empty where there is no home either.
std::string config_path(
    const std::function<std::optional<std::string>(std::string_view)>& environment);

/// The process's environment.
std::optional<std::string> environment_variable(std::string_view name);

/// Sources of this process: its environment, and the file at config_path() where there is one.
result<config_sources> process_config_sources();

}  // namespace germline
