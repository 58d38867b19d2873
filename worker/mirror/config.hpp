// mirror config: the mirrors of a machine: where each is, and which paths may be asked for there.
// Read by the worker while it starts, and handed to germline-mirror as JSON.
// Plain values and pure functions but for load_mirrors and check_ca_files, which read files; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "common/text/mirrors.hpp"

namespace germline::worker {

struct mirror_config {
  std::string name;
  std::string url;                     // without a slash at its end
  std::vector<std::string> allow;      // regular expressions (ECMAScript), each of a whole path
                                       // beneath `url`, which begins with '/'
  std::vector<std::string> redirects;  // HOST[:PORT] besides its own that it may point to
  std::string ca_file;                 // the authorities to trust alone; empty: the system's
  bool operator==(const mirror_config&) const = default;
};

/// What one fetch may use; each at least 1.
struct mirror_limits {
  std::int64_t requests = 20'000;
  std::int64_t bytes = std::int64_t{4} << 30;  // of answers' bodies
  std::int64_t connections = 32;               // at a time
  std::int64_t silence_ms = 60'000;            // of either side
  std::int64_t connect_ms = 10'000;
};

/// Of package documents and tarballs, as npm asks for them.
const std::vector<std::string>& npm_paths();

/// `text` is [mirror.NAME] tables of a TOML file (docs/deps.md); `source` names it in errors.
result<std::vector<mirror_config>> parse_mirrors_config(std::string_view text,
                                                        std::string_view source);
/// Those of the file, if one is named, with what `named` adds and overrides: "npm=URL,…". One that
/// is not npm needs a table in the file, which says what may be asked for. Their `ca_file`s can be
/// read.
result<std::vector<mirror_config>> load_mirrors(std::string_view named,
                                                const std::string& config_file);

/// Whether this process can read each `ca_file`, and it has certificates: libcurl says neither
/// before the first request, and that in few words.
result<void> check_ca_files(const std::vector<mirror_config>& mirrors);

std::string to_json(const std::vector<mirror_config>& mirrors);
result<std::vector<mirror_config>> mirrors_from_json(std::string_view json);

}  // namespace germline::worker
