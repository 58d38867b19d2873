#include "coordinator/evolution/strategy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "coordinator/evolution/strategies/strategies.hpp"

namespace germline::evolution {
namespace {

struct entry {
  std::string_view name;
  result<maker> (*make)(options& given);
  std::array<std::string_view, 3> options;  // that it takes; empty: none
  bool measures = false;
};

constexpr std::string_view chain = "chain";
constexpr std::array table{
    entry{"archive-sampling", make_archive_sampling, {"form"}},
    entry{"best", make_best, {}},
    entry{"clade-thompson", make_clade_thompson, {"expand", "pass"}, true},
    entry{"islands", make_islands, {"bins", "islands", "migration"}},
    entry{"pareto", make_pareto, {}},
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
    std::string has;
    for (const auto each : of.options)
      has += (each.empty() || has.empty() ? "" : ", ") + std::string(each);
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
  auto make = found->make(given);
  if (!make) return make.error().within("strategy " + std::string(name));
  strategy made{std::string(name), std::move(*make), found->measures};
  for (const auto& [key, value] : given) made.text += "," + key + "=" + value;
  return made;
}

result<double> number_option(options& given, const std::string& key, std::string_view usual,
                             double least, double most) {
  const auto& text = given.try_emplace(key, usual).first->second;
  double value = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (trouble != std::errc() || end != text.data() + text.size() || !(value >= least) ||
      !(value <= most)) {
    std::ostringstream said;
    said << key << " is '" << text << "'; it can be a number from " << least << " to " << most;
    return invalid(said.str());
  }
  return value;
}

result<int> count_option(options& given, const std::string& key, int usual, int least, int most) {
  const auto& text = given.try_emplace(key, std::to_string(usual)).first->second;
  int value = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (trouble != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return invalid(key + " is '" + text + "'; it can be a whole number from " +
                   std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

double uniform(random_source& chance) {
  return static_cast<double>(chance.next_u64() >> 11) * 0x1p-53;
}

}  // namespace germline::evolution
