#include "worker/gateway/config.hpp"

#include <toml++/toml.h>
#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <curl/curl.h>

#include "worker/gateway/dialect.hpp"

namespace germline::worker {
namespace {

/// Takes keys out of one table; what is left at the end is unknown.
class section {
 public:
  section(toml::table& file, const std::string& name) : name_("[" + name + "]") {
    table_ = file[name].as_table();
    if (file.contains(name) && !table_) fail("must be a table", "");
  }
  /// `table` may be null: nothing is there.
  section(toml::table* table, std::string name) : name_(std::move(name)), table_(table) {}

  void text(const char* key, std::string& into) {
    const toml::node* node = take(key);
    if (!node) return;
    if (const auto value = node->value_exact<std::string>()) {
      into = *value;
    } else {
      fail("must be a string", key);
    }
  }

  /// False: the key is not there.
  bool flag(const char* key, bool& into) {
    const toml::node* node = take(key);
    if (!node) return false;
    if (const auto value = node->value_exact<bool>()) {
      into = *value;
    } else {
      fail("must be true or false", key);
    }
    return true;
  }

  void number(const char* key, std::int64_t& into, std::int64_t least, std::int64_t most) {
    const toml::node* node = take(key);
    if (!node) return;
    const auto value = node->value_exact<std::int64_t>();
    if (value && *value >= least && *value <= most) {
      into = *value;
    } else {
      fail("must be a whole number from " + std::to_string(least) + " to " + std::to_string(most),
           key);
    }
  }

  void texts(const char* key, std::vector<std::string>& into) {
    const toml::node* node = take(key);
    if (!node) return;
    const toml::array* list = node->as_array();
    if (!list) return fail("must be a list of strings", key);
    for (const auto& item : *list) {
      const auto value = item.value_exact<std::string>();
      if (!value) return fail("must be a list of strings", key);
      into.push_back(*value);
    }
  }

  /// The first complaint, or empty.
  std::string finish() {
    if (table_) {
      for (const auto& [key, ignored] : *table_) {
        bool known = false;
        for (const auto& seen : seen_) known = known || key.str() == seen;
        if (known) continue;
        std::string all;
        for (const auto& seen : seen_) all += (all.empty() ? "" : ", ") + seen;
        fail("is unknown here; known are: " + all, std::string(key.str()).c_str());
      }
    }
    return complaint_;
  }

 private:
  const toml::node* take(const char* key) {
    seen_.emplace_back(key);
    return table_ ? table_->get(key) : nullptr;
  }
  void fail(const std::string& why, const char* key) {
    if (complaint_.empty()) complaint_ = name_ + " " + key + " " + why;
  }

  std::string name_;
  toml::table* table_ = nullptr;
  std::vector<std::string> seen_;
  std::string complaint_;
};

bool is_loopback(std::string_view url) {
  for (const std::string_view host : {"http://127.0.0.1", "http://[::1]"}) {
    if (!url.starts_with(host)) continue;
    const auto rest = url.substr(host.size());
    if (rest.empty() || rest[0] == ':' || rest[0] == '/') {
      return rest.find('@') == std::string_view::npos;
    }
  }
  return false;
}

/// Whether it is that host, or one beneath it, over TLS.
bool is_at(std::string_view url, std::string_view wanted) {
  constexpr std::string_view scheme = "https://";
  if (!url.starts_with(scheme)) return false;
  const auto host =
      url.substr(scheme.size(), url.find_first_of(":/", scheme.size()) - scheme.size());
  return host == wanted || host.ends_with("." + std::string(wanted));
}

bool is_openai(std::string_view url) {
  return is_at(url, "api.openai.com");
}

constexpr std::size_t max_upstreams = 64;

error bad_upstream(const std::string& where, const std::string& why) {
  return {error_code::invalid_argument, where + " " + why};
}

result<void> check_dialects(upstream_config& one, const std::string& where) {
  if (one.dialects.empty() && !one.replay.empty()) {
    for (const dialect* each : all_dialects()) one.dialects.emplace_back(each->name());
  }
  if (one.dialects.empty()) one.dialects = {std::string(messages_dialect().name())};
  bool messages = false;
  for (const auto& name : one.dialects) {
    if (!find_dialect(name)) {
      std::string known;
      for (const dialect* each : all_dialects()) known += " '" + std::string(each->name()) + "'";
      return bad_upstream(where, "dialects: there is no '" + name + "'; known are" + known);
    }
    messages = messages || name == messages_dialect().name();
  }
  if (one.auth.empty()) one.auth = messages ? "x-api-key" : "bearer";
  if (one.auth != "x-api-key" && one.auth != "bearer") {
    return bad_upstream(where, "auth must be 'x-api-key' or 'bearer'");
  }
  if (one.chat_cap != "max_completion_tokens" && one.chat_cap != "max_tokens") {
    return bad_upstream(where, "chat_cap must be 'max_completion_tokens' or 'max_tokens'");
  }
  return {};
}

/// A recording is no server.
result<void> check_replay(const upstream_config& one, const std::string& where) {
  using member = std::pair<const char*, const std::string&>;
  for (const auto& [key, value] : {member("url", one.url), member("key_env", one.key_env),
                                   member("auth", one.auth), member("ca_file", one.ca_file)}) {
    if (!value.empty()) {
      return bad_upstream(where, std::string(key) + " is of no use beside replay: leave one out");
    }
  }
  std::error_code failed;
  if (!std::filesystem::exists(one.replay, failed)) {
    return error(error_code::not_found, where + " replay is not there: " + one.replay);
  }
  return {};
}

result<void> check_url(upstream_config& one, const std::string& where) {
  while (one.url.ends_with('/')) one.url.pop_back();
  if (!one.url.starts_with("https://") && !is_loopback(one.url)) {
    return bad_upstream(where,
                        "url must begin with https://, or with http:// and a loopback address");
  }
  if (one.url.find_first_of("@?# \t\r\n") != std::string::npos) {
    return bad_upstream(where, "url must have no user, query, fragment or space");
  }
  const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> whole(::curl_url(),
                                                                    &::curl_url_cleanup);
  const auto read = ::curl_url_set(whole.get(), CURLUPART_URL, (one.url + "/v1").c_str(), 0);
  if (read != CURLUE_OK) {
    return bad_upstream(where, "url is none: '" + one.url + "': " + ::curl_url_strerror(read));
  }
  return {};
}

result<void> check_upstream(upstream_config& one, const std::string& where) {
  GERMLINE_TRY(one.replay.empty() ? check_url(one, where) : check_replay(one, where));
  if (one.key_env.find_first_of("=\n") != std::string::npos) {
    return bad_upstream(where, "key_env is no name of a variable");
  }
  // libcurl would tell of it at the first request only.
  if (!one.ca_file.empty() && !std::ifstream(one.ca_file)) {
    return error(error_code::not_found, where + " ca_file cannot be read: " + one.ca_file);
  }
  for (const auto& pattern : one.models) {
    const auto star = pattern.find('*');
    if (pattern.empty() || (star != std::string::npos && star != pattern.size() - 1)) {
      return bad_upstream(
          where, "models: '" + pattern + "' is no model name, with or without a '*' at its end");
    }
  }
  return check_dialects(one, where);
}

result<upstream_config> read_upstream(toml::table* table, const std::string& where) {
  upstream_config one;
  section from(table, where);
  from.text("name", one.name);
  from.text("url", one.url);
  from.text("replay", one.replay);
  std::string mode;
  from.text("mode", mode);
  from.text("key_env", one.key_env);
  from.texts("dialects", one.dialects);
  from.text("auth", one.auth);
  from.text("chat_cap", one.chat_cap);
  const bool says_store = from.flag("chat_store_false", one.chat_store_false);
  from.flag("translate", one.translate);
  from.text("ca_file", one.ca_file);
  from.texts("models", one.models);
  from.number("priority", one.priority, 0, 1000);
  from.number("weight", one.weight, 1, 1000);
  from.number("max_concurrent", one.max_concurrent, 1, 100'000);
  const std::string complaint = from.finish();
  if (!complaint.empty()) return error(error_code::invalid_argument, complaint);
  if (!mode.empty() && one.replay.empty()) {
    return bad_upstream(where, "mode says how to replay, and there is no replay");
  }
  if (!mode.empty() && mode != "strict" && mode != "lenient") {
    return bad_upstream(where, "mode must be 'strict' or 'lenient'");
  }
  one.replay_is_strict = mode != "lenient";
  GERMLINE_TRY(check_upstream(one, where));
  if (!says_store) one.chat_store_false = is_openai(one.url);
  return one;
}

bool patterns_meet(std::string_view one, std::string_view other) {
  const bool one_open = one.ends_with('*');
  const bool other_open = other.ends_with('*');
  if (one_open) one.remove_suffix(1);
  if (other_open) other.remove_suffix(1);
  if (one_open && other_open) return one.starts_with(other) || other.starts_with(one);
  if (one_open) return other.starts_with(one);
  if (other_open) return one.starts_with(other);
  return one == other;
}

/// Whether a model may be that both serve.
bool share_model(const upstream_config& one, const upstream_config& other) {
  if (one.models.empty() || other.models.empty()) return true;
  return std::ranges::any_of(one.models, [&](const auto& mine) {
    return std::ranges::any_of(other.models,
                               [&](const auto& its) { return patterns_meet(mine, its); });
  });
}

/// A recording that is asked only now and then is at another place than its attempt, and what it
/// does not answer a provider would, for money.
result<void> check_replays_alone(const std::vector<upstream_config>& all) {
  for (const auto& one : all) {
    for (const auto& other : all) {
      if (one.replay.empty() || &one == &other || !share_model(one, other)) continue;
      return error(error_code::invalid_argument,
                   "[[upstream]] '" + one.name + "' is a replay, and '" + other.name +
                       "' serves the same models: name models for each that the other has not");
    }
  }
  return {};
}

/// [upstream], or all of [[upstream]].
result<std::vector<upstream_config>> read_upstreams(toml::table& file) {
  std::vector<upstream_config> all;
  toml::array* list = file["upstream"].as_array();
  if (!list) {
    if (file.contains("upstream") && !file["upstream"].is_table()) {
      return error(error_code::invalid_argument, "[upstream]  must be a table");
    }
    GERMLINE_TRY_ASSIGN(auto one, read_upstream(file["upstream"].as_table(), "[upstream]"));
    all.push_back(std::move(one));
    return all;
  }
  if (list->empty() || list->size() > max_upstreams) {
    return error(error_code::invalid_argument,
                 "[[upstream]] must be there 1 to " + std::to_string(max_upstreams) + " times");
  }
  for (auto& node : *list) {
    toml::table* table = node.as_table();
    const auto number = std::to_string(all.size() + 1);
    const std::string name = table ? (*table)["name"].value_or(std::string()) : std::string();
    if (name.empty()) {
      return error(error_code::invalid_argument, "[[upstream]] " + number + " has no name");
    }
    for (const auto& other : all) {
      if (other.name == name) {
        return error(error_code::invalid_argument, "[[upstream]] '" + name + "' is there twice");
      }
    }
    GERMLINE_TRY_ASSIGN(auto one, read_upstream(table, "[[upstream]] '" + name + "'"));
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace

std::string provider_name(const upstream_config& upstream) {
  if (is_openai(upstream.url)) return "openai";
  return is_at(upstream.url, "api.anthropic.com") ? "anthropic" : upstream.name;
}

namespace {

/// "127.0.0.1:9464", or with several ports "127.0.0.1:9464-9471".
result<metrics_place> read_listen(const std::string& address) {
  metrics_place place;
  const auto colon = address.rfind(':');
  const auto host = address.substr(0, colon);
  boost::system::error_code wrong;
  const bool is_six = host.size() > 2 && host.front() == '[' && host.back() == ']';
  boost::asio::ip::make_address(is_six ? host.substr(1, host.size() - 2) : host, wrong);
  const char* const end = address.data() + address.size();
  const auto read = [&](const char* at, int& port) {
    const auto got = std::from_chars(at, end, port);
    return got.ec == std::errc() && port > 0 && port <= 65'535 ? got.ptr : nullptr;
  };
  const char* at = colon == std::string::npos ? nullptr : address.data() + colon + 1;
  if (at) at = read(at, place.first_port);
  place.last_port = place.first_port;
  if (at && at != end && *at == '-') at = read(at + 1, place.last_port);
  place.host = host;
  if (!wrong && at == end && place.first_port <= place.last_port) return place;
  return error(error_code::invalid_argument,
               "[metrics] listen must be an address with a port or a range of them, as "
               "'127.0.0.1:9464' or '127.0.0.1:9464-9471', and is '" +
                   address + "'");
}

}  // namespace

void add_recorded_attempts(gateway_config& config) {
  if (config.transcripts_directory.empty()) return;
  auto& all = config.upstreams.emplace_back();
  all.name = "recorded attempts";
  all.replay = config.transcripts_directory;
  for (const dialect* each : all_dialects()) all.dialects.emplace_back(each->name());
  all.is_of_attempts = true;
}

result<gateway_config> parse_gateway_config(std::string_view toml_text) {
  toml::table file;
  try {
    file = toml::parse(toml_text);
  } catch (const toml::parse_error& failure) {
    return error(error_code::invalid_argument, "line " +
                                                   std::to_string(failure.source().begin.line) +
                                                   ": " + std::string(failure.description()));
  }
  if (file["schema"].value_or(0) != 1) {
    return error(error_code::invalid_argument, "schema must be 1");
  }
  for (const auto& [key, ignored] : file) {
    const std::string_view name = key.str();
    if (name != "schema" && name != "upstream" && name != "prices" && name != "transcripts" &&
        name != "limits" && name != "timeouts" && name != "metrics") {
      return error(error_code::invalid_argument, "unknown key '" + std::string(name) + "'");
    }
  }
  gateway_config config;
  constexpr std::int64_t day_ms = 86'400'000;
  section prices(file, "prices");
  prices.text("file", config.prices_file);
  section transcripts(file, "transcripts");
  transcripts.text("directory", config.transcripts_directory);
  transcripts.number("max_bytes", config.transcript_max_bytes, 1024, std::int64_t{1} << 40);
  section metrics(file, "metrics");
  std::string listen;
  metrics.text("listen", listen);
  section limits(file, "limits");
  limits.number("max_body_bytes", config.max_body_bytes, 1024, 1 << 30);
  limits.number("max_connections", config.max_connections, 1, 10'000);
  limits.number("max_held_bytes", config.max_held_bytes, 1024, std::int64_t{1} << 40);
  limits.number("max_held_bytes_in_all", config.max_held_bytes_in_all, 1024, std::int64_t{1} << 40);
  limits.number("max_output_tokens", config.max_output_tokens, 1, 10'000'000);
  limits.texts("betas", config.betas);
  section timeouts(file, "timeouts");
  timeouts.number("client_header_ms", config.client_header_ms, 10, day_ms);
  timeouts.number("client_body_ms", config.client_body_ms, 10, day_ms);
  timeouts.number("connect_ms", config.connect_ms, 10, day_ms);
  timeouts.number("silence_ms", config.silence_ms, 10, day_ms);
  timeouts.number("total_ms", config.total_ms, 10, day_ms);
  for (section* part : {&prices, &transcripts, &metrics, &limits, &timeouts}) {
    const std::string complaint = part->finish();
    if (!complaint.empty()) return error(error_code::invalid_argument, complaint);
  }
  if (!listen.empty()) {
    GERMLINE_TRY_ASSIGN(config.metrics, read_listen(listen));
  }
  GERMLINE_TRY_ASSIGN(config.upstreams, read_upstreams(file));
  GERMLINE_TRY(check_replays_alone(config.upstreams));
  if (config.prices_file.empty()) {
    return error(error_code::invalid_argument, "[prices] file is missing");
  }
  config.max_held_bytes = std::max(config.max_held_bytes, config.max_body_bytes);
  config.max_held_bytes_in_all = std::max(config.max_held_bytes_in_all, config.max_held_bytes);
  return config;
}

result<gateway_config> load_gateway_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) return errno_error("reading the configuration " + path, errno);
  std::ostringstream text;
  text << file.rdbuf();
  auto config = parse_gateway_config(text.str());
  if (!config) return config.error().within(path);
  return config;
}

}  // namespace germline::worker
