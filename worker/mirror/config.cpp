#include "worker/mirror/config.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/manifest/toml_reader.hpp"
#include "worker/mirror/routes.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr std::size_t file_bytes_max = 64 * 1024;
constexpr std::size_t list_max = 64;
constexpr std::size_t ca_bytes_max = 4 << 20;

std::string bare(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

result<mirror_config> read_mirror(const toml::table* table, std::string_view source,
                                  const std::string& name) {
  const auto section = "[mirror." + name + "]";
  toml_reader reader(table, source, section);
  mirror_config one;
  one.name = name;
  if (auto url = reader.text("url")) {
    if (const auto parsed = parse_mirror_url(*url)) {
      one.url = bare(std::move(*url));
    } else {
      reader.fail("url", "is wrong: " + parsed.error().message());
    }
  } else {
    reader.require("url", "url = \"https://mirror.example\"");
  }
  if (auto allow = reader.texts("allow")) {
    one.allow = std::move(*allow);
    if (one.allow.empty() || one.allow.size() > list_max) {
      reader.fail("allow", "must list 1 to 64 regular expressions");
    }
  } else if (name == "npm") {
    one.allow = npm_paths();
  } else {
    reader.require("allow", R"(allow = ["/files/[a-z0-9.-]+\\.tar\\.gz"])");
  }
  if (auto hosts = reader.texts("redirects")) {
    one.redirects = std::move(*hosts);
    if (one.redirects.size() > list_max) reader.fail("redirects", "lists more than 64 hosts");
    for (const auto& host : one.redirects) {
      const auto parsed = parse_mirror_url("https://" + host);
      if (!parsed || !parsed->path.empty() || parsed->authority != host) {
        reader.fail("redirects", "has '" + host.substr(0, 128) + "'; write HOST or HOST:PORT");
      }
    }
  }
  if (auto file = reader.text("ca_file")) one.ca_file = std::move(*file);
  GERMLINE_TRY(reader.finish());
  // That its expressions can be read.
  if (const auto routes = mirror_routes::make({one}); !routes) {
    return routes.error().within(std::string(source) + ": " + section);
  }
  return one;
}

}  // namespace

const std::vector<std::string>& npm_paths() {
  static const std::vector<std::string> paths = {
      // /name, /@scope/name, /@scope%2fname
      R"(/(@[A-Za-z0-9~][A-Za-z0-9._~-]*(/|%2[fF]))?[A-Za-z0-9~][A-Za-z0-9._~-]*)",
      // /name/-/name-1.0.0.tgz, /@scope/name/-/name-1.0.0.tgz
      R"(/(@[A-Za-z0-9~][A-Za-z0-9._~-]*(/|%2[fF]))?[A-Za-z0-9~][A-Za-z0-9._~-]*/-/)"
      R"([A-Za-z0-9~][A-Za-z0-9._~+-]*\.tgz)"};
  return paths;
}

result<std::vector<mirror_config>> parse_mirrors_config(std::string_view text,
                                                        std::string_view source) {
  GERMLINE_TRY_ASSIGN(const auto root, parse_toml(text, source, file_bytes_max));
  toml_reader reader(&root, source, "");
  if (!reader.whole("schema", 1, 1)) reader.require("schema", "schema = 1");
  const auto* table = reader.table("mirror");
  if (table == nullptr) reader.require("mirror", "[mirror.npm] with url = \"https://…\"");
  GERMLINE_TRY(reader.finish());
  std::vector<mirror_config> all;
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    if (!is_mirror_name(name) || node.as_table() == nullptr) {
      return error(error_code::invalid_argument,
                   std::string(source) + ": '" + name.substr(0, 64) +
                       "' is no mirror; write [mirror.NAME], the name of 1 to 32 of a-z, 0-9 "
                       "and '-'");
    }
    GERMLINE_TRY_ASSIGN(auto one, read_mirror(node.as_table(), source, name));
    all.push_back(std::move(one));
  }
  if (all.size() > mirrors_max) {
    return error(error_code::invalid_argument, std::string(source) + ": more than 16 mirrors");
  }
  return all;
}

result<std::vector<mirror_config>> load_mirrors(std::string_view named,
                                                const std::string& config_file) {
  std::vector<mirror_config> all;
  if (!config_file.empty()) {
    std::ifstream file(config_file);
    if (!file) return errno_error("reading the mirrors' configuration " + config_file, errno);
    std::ostringstream text;
    text << file.rdbuf();
    GERMLINE_TRY_ASSIGN(all, parse_mirrors_config(text.str(), config_file));
  }
  GERMLINE_TRY_ASSIGN(const auto given, parse_mirrors(named));
  for (const auto& each : given) {
    const auto there =
        std::ranges::find_if(all, [&](const auto& known) { return known.name == each.name; });
    if (there != all.end()) {
      there->url = bare(each.url);
    } else if (each.name == "npm") {
      all.push_back({each.name, bare(each.url), npm_paths(), {}, {}});
    } else {
      return error(error_code::invalid_argument,
                   "what may be asked of the mirror '" + each.name +
                       "' is not known: give it a table [mirror." + each.name +
                       "] with `allow` in a file, and name that with --mirrors-config");
    }
  }
  GERMLINE_TRY(check_ca_files(all));
  return all;
}

result<void> check_ca_files(const std::vector<mirror_config>& mirrors) {
  constexpr std::string_view mark = "CERTIFICATE-----";  // TRUSTED or not
  for (const auto& each : mirrors) {
    if (each.ca_file.empty()) continue;
    const auto which = "`ca_file` of the mirror '" + each.name + "', " + each.ca_file + ",";
    std::ifstream file(each.ca_file);
    std::string text(ca_bytes_max, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad() || file.gcount() == 0) {
      return error(error_code::invalid_argument, which + " cannot be read, or is empty");
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.find("-----BEGIN ") == text.npos || text.find(mark) == text.npos) {
      return error(error_code::invalid_argument, which + " has no certificate in PEM");
    }
  }
  return {};
}

std::string to_json(const std::vector<mirror_config>& mirrors) {
  auto out = json::array();
  for (const auto& each : mirrors) {
    out.push_back({{"name", each.name},
                   {"url", each.url},
                   {"allow", each.allow},
                   {"redirects", each.redirects},
                   {"ca_file", each.ca_file}});
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<std::vector<mirror_config>> mirrors_from_json(std::string_view text) {
  try {
    std::vector<mirror_config> all;
    for (const auto& each : json::parse(text)) {
      all.push_back({each.at("name"), each.at("url"), each.at("allow"), each.at("redirects"),
                     each.at("ca_file")});
    }
    return all;
  } catch (const json::exception& failure) {
    return error(error_code::invalid_argument,
                 "the mirrors cannot be read: " + std::string(failure.what()));
  }
}

}  // namespace germline::worker
