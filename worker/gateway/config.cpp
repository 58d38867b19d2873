#include "worker/gateway/config.hpp"

#include <toml++/toml.h>
#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <filesystem>
#include <memory>

#include <curl/curl.h>

#include "common/log.hpp"
#include "worker/gateway/config_section.hpp"
#include "worker/gateway/dialect.hpp"
#include "worker/gateway/model_pattern.hpp"
#include "worker/gateway/plain_text.hpp"

namespace germline::worker {
namespace {

constexpr std::string_view scheme_end = "://";

/// What stands between the scheme and the path: a host, and its port.
std::string_view authority_of(std::string_view url) {
  const auto scheme = url.find(scheme_end);
  if (scheme == url.npos) return "";
  url.remove_prefix(scheme + scheme_end.size());
  return url.substr(0, url.find('/'));
}

/// An address of version 6 with its brackets.
std::string_view host_of(std::string_view url) {
  const auto authority = authority_of(url);
  if (!authority.starts_with('[')) return authority.substr(0, authority.find(':'));
  return authority.substr(0, std::min(authority.find(']'), authority.size() - 1) + 1);
}

/// Whether it is plain HTTP to 127.0.0.0/8 or [::1].
bool is_loopback(std::string_view url) {
  if (!url.starts_with("http://") || authority_of(url).find('@') != url.npos) return false;
  std::string host(host_of(url));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code failed;
  const auto address = boost::asio::ip::make_address(host, failed);
  return !failed && address.is_loopback();
}

/// Whether it is that host, or one beneath it, over TLS.
bool is_at(std::string_view url, std::string_view wanted) {
  if (!url.starts_with("https://")) return false;
  const auto host = host_of(url);
  return host == wanted || host.ends_with("." + std::string(wanted));
}

/// Scheme and host in small letters, as they are compared. A zone in brackets stays as it is.
void lower_origin(std::string& url) {
  const auto scheme = url.find(scheme_end);
  if (scheme == url.npos) return;
  const auto end = std::min(url.find_first_of("/[", scheme + scheme_end.size()), url.size());
  for (std::size_t i = 0; i < end; ++i) {
    if (url[i] >= 'A' && url[i] <= 'Z') url[i] = static_cast<char>(url[i] - 'A' + 'a');
  }
}

bool is_openai(std::string_view url) {
  return is_at(url, "api.openai.com");
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Whether a name may be so, which libcurl does not look at. It judges what is in brackets, and
/// letters that are no ASCII.
bool is_host(std::string_view host) {
  if (host.starts_with('[')) return true;
  if (host.ends_with('.')) host.remove_suffix(1);
  const bool is_numeric = std::ranges::all_of(host, [](char c) { return is_digit(c) || c == '.'; });
  if (is_numeric) {
    boost::system::error_code failed;
    boost::asio::ip::make_address_v4(std::string(host), failed);
    return !failed;
  }
  if (host.starts_with('.') || host.find("..") != host.npos) return false;
  return std::ranges::all_of(host, [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '.' ||
           static_cast<unsigned char>(c) > 127;
  });
}

constexpr std::size_t max_upstreams = 64;

error bad_upstream(const std::string& where, const std::string& why) {
  return {error_code::invalid_argument, where + " " + why};
}

std::string known_dialects() {
  std::string known;
  for (const dialect* each : all_dialects()) {
    known += (known.empty() ? "'" : ", '") + std::string(each->name()) + "'";
  }
  return known;
}

result<void> check_dialects(upstream_config& one, const std::string& where) {
  if (one.dialects.empty() && !one.replay.empty()) {
    for (const dialect* each : all_dialects()) one.dialects.emplace_back(each->name());
  }
  if (one.dialects.empty()) one.dialects = {std::string(messages_dialect().name())};
  bool messages = false;
  for (const auto& name : one.dialects) {
    if (!find_dialect(name)) {
      return bad_upstream(where,
                          "dialects: there is no '" + name + "'; known are " + known_dialects());
    }
    messages = messages || name == messages_dialect().name();
  }
  if (one.auth.empty()) one.auth = messages ? "x-api-key" : "bearer";
  if (one.auth != "x-api-key" && one.auth != "bearer") {
    return bad_upstream(where, "auth must be 'x-api-key' or 'bearer', and is '" + one.auth + "'");
  }
  if (one.chat_cap != "max_completion_tokens" && one.chat_cap != "max_tokens") {
    return bad_upstream(
        where,
        "chat_cap must be 'max_completion_tokens' or 'max_tokens', and is '" + one.chat_cap + "'");
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
    return error(error_code::not_found,
                 where + " replay is not there: " + one.replay + relative_hint(one.replay));
  }
  return {};
}

result<void> check_url(upstream_config& one, const std::string& where) {
  if (one.url.empty()) {
    return bad_upstream(where,
                        "has no url: name the server, as url = \"https://api.anthropic.com\"");
  }
  while (one.url.ends_with('/')) one.url.pop_back();
  lower_origin(one.url);
  if (!one.url.starts_with("https://") && !is_loopback(one.url)) {
    return bad_upstream(where,
                        "url must begin with https:// and a host, or with http:// and a loopback "
                        "address, as http://127.0.0.1:8080");
  }
  for (const std::string_view path :
       {"/v1", "/v1/messages", "/v1/chat/completions", "/v1/responses"}) {
    if (!one.url.ends_with(path)) continue;
    return bad_upstream(
        where, "url is without " + std::string(path) +
                   ", which is put behind it: " + one.url.substr(0, one.url.size() - path.size()));
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
  if (!is_host(host_of(one.url))) {
    return bad_upstream(where, "url has '" + std::string(host_of(one.url)) +
                                   "' as its host, which cannot be one: that is a name of letters, "
                                   "digits, '-', '_' and '.', or an IP address, one of version 6 "
                                   "in brackets");
  }
  char* port = nullptr;  // none: the scheme's own
  if (::curl_url_get(whole.get(), CURLUPART_PORT, &port, 0) == CURLUE_OK) {
    const bool is_zero = std::string_view(port).find_first_not_of('0') == std::string_view::npos;
    ::curl_free(port);
    if (is_zero) return bad_upstream(where, "url has the port 0: a port is from 1 to 65535");
  }
  return {};
}

/// The value is not shown: it may be the key itself, by mistake.
result<void> check_key_env(const std::string& name, const std::string& where) {
  const bool is_name =
      std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c); });
  if (is_name && (name.empty() || is_letter(name[0]))) return {};
  return bad_upstream(where,
                      "key_env is no name of an environment variable: that is of letters, digits "
                      "and '_', such as ANTHROPIC_API_KEY, and not the key itself");
}

/// libcurl would tell of it at the first request only.
result<void> check_ca_file(const std::string& path, const std::string& where) {
  const auto text = read_text_file(path, "ca_file");
  if (!text) return text.error().within(where);
  if (text->find("-----BEGIN ") != text->npos && text->find("CERTIFICATE-----") != text->npos) {
    return {};
  }
  return bad_upstream(where, "ca_file " + path +
                                 " has no certificate: it is a PEM file, with lines "
                                 "-----BEGIN CERTIFICATE-----");
}

result<void> check_upstream(upstream_config& one, const std::string& where) {
  GERMLINE_TRY(one.replay.empty() ? check_url(one, where) : check_replay(one, where));
  GERMLINE_TRY(check_key_env(one.key_env, where));
  if (!one.ca_file.empty()) {
    if (is_loopback(one.url)) {
      return bad_upstream(where,
                          "ca_file is of no use with http://: leave it out, or write https://");
    }
    GERMLINE_TRY(check_ca_file(one.ca_file, where));
  }
  for (const auto& pattern : one.models) {
    if (is_model_pattern(pattern)) continue;
    return bad_upstream(where,
                        "models: '" + pattern + "' must be " + std::string(model_pattern_form));
  }
  return check_dialects(one, where);
}

result<upstream_config> read_upstream(toml::table* table, const std::string& where) {
  upstream_config one;
  section from(table, where);
  from.text("name", one.name, "the upstream's name, for people and metrics");
  from.text("url", one.url, "the server's address, such as https://api.anthropic.com");
  from.text("replay", one.replay, "the path of a transcript, or of a folder of them");
  std::string mode;
  from.text("mode", mode, "'strict' or 'lenient'");
  from.text("key_env", one.key_env,
            "the name of the environment variable that has the key; leave it out for none");
  from.texts("dialects", one.dialects, "one of " + known_dialects(), when_empty::is_wrong);
  from.text("auth", one.auth, "'x-api-key' or 'bearer'");
  from.text("chat_cap", one.chat_cap, "'max_completion_tokens' or 'max_tokens'");
  const bool says_store = from.flag("chat_store_false", one.chat_store_false);
  from.flag("translate", one.translate);
  from.text("ca_file", one.ca_file,
            "the path of a PEM file of certificates; leave it out for the system's");
  from.texts("models", one.models, std::string(model_pattern_form), when_empty::is_wrong);
  from.number("priority", one.priority, 0, 1000);
  from.number("weight", one.weight, 1, 1000);
  from.number("max_concurrent", one.max_concurrent, 1, 100'000);
  const std::string complaint = from.finish();
  if (!complaint.empty()) return error(error_code::invalid_argument, complaint);
  if (!mode.empty() && one.replay.empty()) {
    return bad_upstream(where, "mode says how to replay, and there is no replay");
  }
  if (!mode.empty() && mode != "strict" && mode != "lenient") {
    return bad_upstream(where, "mode must be 'strict' or 'lenient', and is '" + mode + "'");
  }
  one.replay_is_strict = mode != "lenient";
  GERMLINE_TRY(check_upstream(one, where));
  if (!says_store) one.chat_store_false = is_openai(one.url);
  return one;
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
    if (!file.contains("upstream")) {
      return error(error_code::invalid_argument,
                   "there is no [upstream]: write one with the url of the models' API");
    }
    if (!file["upstream"].is_table()) {
      return error(error_code::invalid_argument,
                   "[upstream] must be a table, which begins with the line [upstream]");
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
    const std::string name =
        table ? printable((*table)["name"].value_or(std::string())) : std::string();
    if (name.empty()) {
      return error(error_code::invalid_argument,
                   "[[upstream]] " + number +
                       " has no name: each is a table with a name of its own, as name = \"first\"");
    }
    for (const auto& other : all) {
      if (other.name == name) {
        return error(error_code::invalid_argument,
                     "[[upstream]] '" + name + "' is there twice: give each a name of its own");
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

/// "127.0.0.1:9464", or with several ports "127.0.0.1:9464-9471". IPv4 alone: civetweb, which
/// serves them, is built without IPv6 in Debian.
result<metrics_place> read_listen(const std::string& address) {
  metrics_place place;
  const auto colon = address.rfind(':');
  const auto host = address.substr(0, colon);
  boost::system::error_code wrong;
  boost::asio::ip::make_address_v4(host, wrong);
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
  const bool is_six = address.find(':') != colon;
  return error(error_code::invalid_argument,
               "[metrics] listen must be an IPv4 address with a port or a range of them, as "
               "'127.0.0.1:9464' or '127.0.0.1:9464-9471', and is '" +
                   address + "'" +
                   (is_six ? "; metrics cannot be served at an address of IPv6" : ""));
}

constexpr const char* price_file_form =
    "the path of a price file, such as '/etc/germline/prices.json'";
constexpr const char* transcripts_form =
    "the whole path of a folder, such as '/var/lib/germline/transcripts'";
constexpr const char* beta_form = "a name as anthropic-beta has it, without spaces and commas";

/// Not every server tells large letters from small ones in a field's name.
result<void> check_more_fields(const gateway_config& config) {
  for (const auto& [name, fields] : config.more_fields) {
    const auto& speaks = *find_dialect(name);
    for (const auto& field : fields) {
      const auto is_it = [&](std::string_view other) {
        return boost::algorithm::iequals(field, other);
      };
      const auto wrong = [&](const char* why) {
        return error(error_code::invalid_argument,
                     "[allow] " + name + " has '" + printable(field) + "', " + why);
      };
      if (std::ranges::any_of(speaks.barred_fields(), is_it)) {
        return wrong(
            "which cannot be allowed: it spends, reaches out or keeps what nothing here "
            "bounds");
      }
      if (std::ranges::any_of(speaks.fields(), is_it)) {
        return wrong("which is looked at and passes already, as far as it may");
      }
    }
  }
  return {};
}

/// Another would never be the same as what a client sends.
result<void> check_betas(const std::vector<std::string>& betas) {
  for (const auto& one : betas) {
    const bool is_good =
        std::ranges::all_of(one, [](char c) { return c > ' ' && c <= '~' && c != ','; });
    if (is_good) continue;
    return error(error_code::invalid_argument, "[limits] betas has '" + printable(one) +
                                                   "'; each is " + beta_form + ", of plain ASCII");
  }
  return {};
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
  if (file["schema"].value_exact<std::int64_t>().value_or(0) != 1) {
    return error(error_code::invalid_argument,
                 "schema must be 1: the file begins with the line schema = 1");
  }
  for (const auto& [key, ignored] : file) {
    const std::string_view name = key.str();
    if (name != "schema" && name != "upstream" && name != "prices" && name != "transcripts" &&
        name != "limits" && name != "timeouts" && name != "metrics" && name != "allow") {
      return error(error_code::invalid_argument,
                   "unknown key '" + printable(name) +
                       "'; known are: schema, upstream, prices, transcripts, metrics, limits, "
                       "allow, timeouts");
    }
  }
  gateway_config config;
  constexpr std::int64_t day_ms = 86'400'000;
  section prices(file, "prices");
  prices.text("file", config.prices_file, price_file_form);
  section transcripts(file, "transcripts");
  transcripts.text("directory", config.transcripts_directory,
                   std::string(transcripts_form) + "; leave it out for none");
  transcripts.number("max_bytes", config.transcript_max_bytes, 1024, std::int64_t{1} << 40);
  section metrics(file, "metrics");
  std::string listen;
  metrics.text("listen", listen,
               "an IPv4 address with a port, such as '127.0.0.1:9464'; leave it out for none");
  section limits(file, "limits");
  limits.number("max_body_bytes", config.max_body_bytes, 1024, 1 << 30);
  limits.number("max_connections", config.max_connections, 1, 10'000);
  limits.number("max_held_bytes", config.max_held_bytes, 1024, std::int64_t{1} << 40);
  limits.number("max_held_bytes_in_all", config.max_held_bytes_in_all, 1024, std::int64_t{1} << 40);
  limits.number("max_output_tokens", config.max_output_tokens, 1, 10'000'000);
  limits.texts("betas", config.betas, beta_form, when_empty::is_fine);
  section allow(file, "allow");
  for (const dialect* one : all_dialects()) {
    const std::string name(one->name());
    allow.texts(name.c_str(), config.more_fields[name], "a top-level field of a request",
                when_empty::is_fine);
  }
  section timeouts(file, "timeouts");
  timeouts.number("client_header_ms", config.client_header_ms, 10, day_ms);
  timeouts.number("client_body_ms", config.client_body_ms, 10, day_ms);
  timeouts.number("connect_ms", config.connect_ms, 10, day_ms);
  timeouts.number("silence_ms", config.silence_ms, 10, day_ms);
  timeouts.number("total_ms", config.total_ms, 10, day_ms);
  for (section* part : {&prices, &transcripts, &metrics, &limits, &allow, &timeouts}) {
    const std::string complaint = part->finish();
    if (!complaint.empty()) return error(error_code::invalid_argument, complaint);
  }
  GERMLINE_TRY(check_betas(config.betas));
  GERMLINE_TRY(check_more_fields(config));
  const auto& folder = config.transcripts_directory;
  if (!folder.empty() && !folder.starts_with('/')) {
    return error(error_code::invalid_argument, "[transcripts] directory must be " +
                                                   std::string(transcripts_form) + ", and is '" +
                                                   folder + "'");
  }
  if (!listen.empty()) {
    GERMLINE_TRY_ASSIGN(config.metrics, read_listen(listen));
  }
  GERMLINE_TRY_ASSIGN(config.upstreams, read_upstreams(file));
  GERMLINE_TRY(check_replays_alone(config.upstreams));
  if (config.prices_file.empty()) {
    return error(error_code::invalid_argument,
                 "[prices] file is missing: name " + std::string(price_file_form));
  }
  config.max_held_bytes = std::max(config.max_held_bytes, config.max_body_bytes);
  config.max_held_bytes_in_all = std::max(config.max_held_bytes_in_all, config.max_held_bytes);
  return config;
}

result<gateway_config> load_gateway_config(const std::string& path) {
  GERMLINE_TRY_ASSIGN(const auto text, read_text_file(path, "the configuration"));
  auto config = parse_gateway_config(text);
  if (!config) return config.error().within(path);
  return config;
}

}  // namespace germline::worker
