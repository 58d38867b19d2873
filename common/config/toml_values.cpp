#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include "common/config/toml_values.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace germline {
namespace {

constexpr std::size_t max_file_bytes = 1024 * 1024;

result<void> flatten(const toml::table& table, const std::string& prefix, std::string_view name,
                     std::vector<toml_value>& values) {
  for (const auto& [key, node] : table) {
    const auto path = prefix + std::string(key.str());
    const auto line = static_cast<std::int64_t>(node.source().begin.line);
    if (const auto* inner = node.as_table()) {
      GERMLINE_TRY(flatten(*inner, path + ".", name, values));
    } else if (const auto* text = node.as_string()) {
      values.push_back({path, text->get(), line});
    } else if (const auto* integer = node.as_integer()) {
      values.push_back({path, integer->get(), line});
    } else if (const auto* real = node.as_floating_point()) {
      values.push_back({path, real->get(), line});
    } else if (const auto* boolean = node.as_boolean()) {
      values.push_back({path, boolean->get(), line});
    } else if (node.is_array() && (node.as_array()->empty() ||
                                   node.as_array()->is_homogeneous(toml::node_type::string))) {
      std::vector<std::string> texts;
      for (const auto& each : *node.as_array()) texts.push_back(each.as_string()->get());
      values.push_back({path, std::move(texts), line});
    } else {
      return error(error_code::invalid_argument, std::string(name) + ":" + std::to_string(line) +
                                                     ": `" + path +
                                                     "` must be a string, a number, a boolean or "
                                                     "a list of strings");
    }
  }
  return {};
}

}  // namespace

result<std::vector<toml_value>> parse_toml(std::string_view text, std::string_view name) {
  const auto parsed = toml::parse(text);
  if (!parsed) {
    const auto& failure = parsed.error();
    return error(error_code::invalid_argument, std::string(name) + ":" +
                                                   std::to_string(failure.source().begin.line) +
                                                   ": " + std::string(failure.description()));
  }
  std::vector<toml_value> values;
  GERMLINE_TRY(flatten(parsed.table(), "", name, values));
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  return values;
}

result<std::string> read_small_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (!file) return errno_error("opening " + path, errno);
  std::string text(max_file_bytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return errno_error("reading " + path, errno);
  if (text.size() > max_file_bytes) {
    return error(error_code::resource_exhausted, path + " is larger than 1 MiB");
  }
  return text;
}

}  // namespace germline
