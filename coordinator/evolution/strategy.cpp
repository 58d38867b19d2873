#include "coordinator/evolution/strategy.hpp"

#include <algorithm>
#include <array>

#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {
namespace {

struct entry {
  std::string_view name;
  result<chooser> (*make)(options& given);
  std::array<std::string_view, 1> options;  // that it takes; empty: none
};

constexpr std::string_view chain = "chain";
constexpr std::array table{
    entry{"archive-sampling", make_archive_sampling, {"form"}},
    entry{"best", make_best, {}},
    entry{"random", make_random, {}},
    entry{"seed", make_seed, {}},
};

std::string known_names() {
  std::string names(chain);
  for (const auto& each : table) {
    names += (&each == &table.back() ? " and " : ", ") + std::string(each.name);
  }
  return names;
}

result<options> read_options(std::string_view text, std::string_view strategy) {
  options given;
  while (!text.empty()) {
    text.remove_prefix(1);  // the comma
    const auto one = text.substr(0, text.find(','));
    text.remove_prefix(one.size());
    const auto equals = one.find('=');
    const std::string key(one.substr(0, equals));
    if (equals == std::string_view::npos || key.empty() || equals + 1 == one.size()) {
      return invalid("'" + std::string(one) + "' is no option of strategy " +
                     std::string(strategy) + ": an option is written KEY=VALUE");
    }
    if (!given.emplace(key, one.substr(equals + 1)).second) {
      return invalid("strategy " + std::string(strategy) + " has '" + key + "' twice");
    }
  }
  return given;
}

result<void> check_options(const options& given, const entry& of) {
  for (const auto& [key, value] : given) {
    if (std::ranges::find(of.options, key) != of.options.end()) continue;
    const std::string has(of.options.front());
    return invalid("strategy " + std::string(of.name) + " has no option '" + key + "'" +
                   (has.empty() ? "; it has none" : "; it has " + has));
  }
  return {};
}

}  // namespace

result<strategy> parse_strategy(std::string_view text) {
  const auto name = text.substr(0, text.find(','));
  GERMLINE_TRY_ASSIGN(auto given, read_options(text.substr(name.size()), name));
  if (text.empty() || name == chain) {
    if (!given.empty()) return invalid("strategy chain has no options");
    return strategy{std::string(chain), nullptr};
  }
  const auto* found = std::ranges::find(table, name, &entry::name);
  if (found == table.end()) {
    return invalid("there is no strategy '" + std::string(name) + "': there are " + known_names());
  }
  GERMLINE_TRY(check_options(given, *found));
  auto choose = found->make(given);
  if (!choose) return choose.error().within("strategy " + std::string(name));
  strategy made{std::string(name), std::move(*choose)};
  for (const auto& [key, value] : given) made.text += "," + key + "=" + value;
  return made;
}

double uniform(random_source& chance) {
  return static_cast<double>(chance.next_u64() >> 11) * 0x1p-53;
}

}  // namespace germline::evolution
