// gateway_config: the gateway's one configuration file (TOML, docs/gateway.md), read and checked
// whole before anything starts. An unknown key is an error. Holds no secret: it only names the
// environment variable of the API key.
// A plain value; no thread affinity.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline::worker {

/// [upstream], or one of several [[upstream]].
struct upstream_config {
  std::string name = "upstream";  // for people; each its own
  std::string url;                // https://…, or http:// on loopback; no path beyond a prefix
  std::string replay;             // instead of a url: a transcript, or a folder of them
  bool replay_is_strict = true;
  std::string key_env;                // read at start when no --key-fd is given; empty: no key
  std::vector<std::string> dialects;  // that the upstream speaks; by default "messages"
  std::string auth;                   // how the key is shown: "x-api-key" or "bearer"
  std::string chat_cap = "max_completion_tokens";  // or "max_tokens", where only that is known
  /// Whether "store": false is put into Chat Completions that leave it out. Some servers do not
  /// know the field; OpenAI's does, and by default it is its alone that gets it.
  bool chat_store_false = false;
  /// Whether it is asked what clients of another dialect ask, in its own.
  bool translate = true;
  std::string ca_file;  // PEM of the authorities that are trusted alone; empty: the system's
  // Among several:
  std::vector<std::string> models;  // that it serves: names, or beginnings with a '*'; empty: all
  std::int64_t priority = 0;        // the lowest is asked first, the next when that cannot be
  std::int64_t weight = 1;          // its share among those of one priority
  std::int64_t max_concurrent = 1024;
  /// The transcripts of this gateway's own attempts, for those that do them again and nobody else.
  /// Not of the file: see add_recorded_attempts.
  bool is_of_attempts = false;
};

/// Where metrics are fetched: at the first port of these that is free.
struct metrics_place {
  std::string host;  // an IPv4 address
  int first_port = 0, last_port = 0;
};

struct gateway_config {
  std::vector<upstream_config> upstreams;  // at least one
  // [prices]
  std::string prices_file;
  // [transcripts]
  std::string transcripts_directory;             // empty: none are written
  std::int64_t transcript_max_bytes = 64 << 20;  // of one attempt
  // [metrics]
  std::optional<metrics_place> metrics;  // none: nobody can fetch them
  // [limits]
  std::int64_t max_body_bytes = 32 << 20;  // of one request
  std::int64_t max_connections = 32;       // of one attempt
  // Of the bodies of requests and answers under way; each at least max_body_bytes.
  std::int64_t max_held_bytes = 64 << 20;          // of one attempt
  std::int64_t max_held_bytes_in_all = 512 << 20;  // of all attempts together
  std::int64_t max_output_tokens = 64'000;         // the largest max_tokens of one request
  std::vector<std::string> betas;                  // anthropic-beta values that pass
  // [allow], by dialect: top-level fields that pass beside those that it knows
  std::map<std::string, std::vector<std::string>, std::less<>> more_fields;
  // [timeouts]
  std::int64_t client_header_ms = 15'000;  // idle between requests or slow headers
  std::int64_t client_body_ms = 60'000;
  std::int64_t connect_ms = 10'000;
  std::int64_t silence_ms = 300'000;  // no byte from the upstream
  std::int64_t total_ms = 1'800'000;
};

/// "anthropic", "openai", or of another the name that the configuration gives it.
std::string provider_name(const upstream_config& upstream);

/// By this name attempts that are replayed look for their upstream, whatever their model is.
constexpr std::string_view recorded_attempts = "(recorded attempts)";
/// Where transcripts are written: one upstream more, the last, that answers by them.
void add_recorded_attempts(gateway_config& config);

result<gateway_config> parse_gateway_config(std::string_view toml_text);
result<gateway_config> load_gateway_config(const std::string& path);

}  // namespace germline::worker
