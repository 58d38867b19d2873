#include "cli/render/archive_numbers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "cli/render/archive.hpp"

namespace germline::cli {
namespace {

using named_numbers = google::protobuf::RepeatedPtrField<v1::NamedNumber>;

/// Sums of numbers of the same name.
struct summed {
  double sum = 0;
  int count = 0;
};
using sums = std::map<std::string, summed>;

void add(const named_numbers& numbers, const std::string& prefix, sums& into) {
  for (const auto& each : numbers) {
    auto& at = into[prefix + each.name()];
    at.sum += each.value();
    ++at.count;
  }
}

bool is_whole(const v1::GenerationInfo& generation) {
  const auto& fitness = generation.fitness();
  return fitness.samples() > 0 && fitness.failed() == 0 && fitness.open() == 0;
}

/// As good in everything, and better in something.
bool dominates(const std::vector<double>& a, const std::vector<double>& b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] < b[i]) return false;
    better = better || a[i] > b[i];
  }
  return better;
}

grid_axis axis_of(const std::string& name, const std::vector<double>& values, std::size_t bins) {
  grid_axis out{name, 0, 0, bins, 0};
  if (values.empty()) return out;
  out.low = std::ranges::min(values);
  out.high = std::ranges::max(values);
  const bool whole =
      std::ranges::all_of(values, [](double value) { return std::floor(value) == value; });
  if (whole && out.high - out.low < static_cast<double>(bins)) {
    out.bins = static_cast<std::size_t>(out.high - out.low) + 1;
    out.width = 1;
  } else {
    out.width = (out.high - out.low) / static_cast<double>(bins);
  }
  return out;
}

}  // namespace

std::optional<double> numbered::at(const std::string& name) const {
  const auto found = numbers.find(name);
  if (found != numbers.end()) return found->second;
  const auto metric = numbers.find("metric." + name);
  const auto descriptor = numbers.find("descriptor." + name);
  if ((metric == numbers.end()) == (descriptor == numbers.end())) return std::nullopt;
  return metric != numbers.end() ? metric->second : descriptor->second;
}

std::vector<numbered> numbers_of(const v1::GetTreeReply& tree) {
  std::map<std::string, sums> measured;
  for (const auto& each : tree.evaluations()) {
    if (!each.has_score()) continue;
    auto& into = measured[each.parent_generation()];
    add(each.score().metrics(), "metric.", into);
    add(each.score().descriptors(), "descriptor.", into);
  }
  std::vector<numbered> all;
  for (const auto& each : tree.generations()) {
    if (is_listed_as_another(tree, each)) continue;
    numbered one{&each, {}};
    one.numbers["depth"] = static_cast<double>(each.depth());
    one.numbers["number"] = static_cast<double>(each.number());
    if (each.source_bytes() > 0) {
      one.numbers["source_bytes"] = static_cast<double>(each.source_bytes());
      one.numbers["context_bytes"] = static_cast<double>(each.context_bytes());
    }
    if (!each.parent().empty()) {
      if (each.has_likeness()) one.numbers["novelty"] = 1 - each.likeness();
      one.numbers["cost"] = static_cast<double>(each.cost_nanousd()) / 1e9;
    }
    if (is_whole(each)) one.numbers["fitness"] = each.fitness().mean();
    for (const auto& [name, total] : measured[each.generation_id()]) {
      one.numbers[name] = total.sum / total.count;
    }
    all.push_back(std::move(one));
  }
  return all;
}

result<void> check_number(const std::vector<numbered>& all, const std::string& name) {
  std::set<std::string> names;
  for (const auto& each : all) {
    if (each.at(name)) return {};
    for (const auto& [known, value] : each.numbers) names.insert(known);
  }
  std::string text;
  for (const auto& known : names) text += (text.empty() ? "" : ", ") + known;
  return error(error_code::not_found, "no generation has a number '" + name + "'" +
                                          (text.empty() ? "" : "; there are " + text));
}

bool condition::holds(const numbered& of) const {
  const auto number = of.at(name);
  if (!number) return false;
  if (op == "<") return *number < value;
  if (op == "<=") return *number <= value;
  if (op == "=") return *number == value;
  if (op == ">=") return *number >= value;
  return *number > value;
}

result<condition> parse_condition(std::string_view text) {
  const auto wrong = [&] {
    return error(error_code::invalid_argument,
                 "'" + std::string(text) +
                     "' is no condition: write NAME OP NUMBER with one of < <= = >= >, such as "
                     "'fitness >= 2'");
  };
  const auto begin = text.find_first_of("<>=");
  if (begin == std::string_view::npos) return wrong();
  const auto end = text.find_first_not_of("<>=", begin);
  if (end == std::string_view::npos) return wrong();
  const auto trimmed = [](std::string_view part) {
    const auto first = part.find_first_not_of(' ');
    if (first == std::string_view::npos) return std::string_view();
    return part.substr(first, part.find_last_not_of(' ') - first + 1);
  };
  condition out;
  out.name = trimmed(text.substr(0, begin));
  out.op = text.substr(begin, end - begin);
  constexpr std::array<std::string_view, 5> known{"<", "<=", "=", ">=", ">"};
  const auto number = trimmed(text.substr(end));
  const auto [at, failed] =
      std::from_chars(number.data(), number.data() + number.size(), out.value);
  const bool sound = failed == std::errc() && at == number.data() + number.size() &&
                     !out.name.empty() && std::ranges::find(known, out.op) != known.end();
  if (!sound) return wrong();
  return out;
}

std::vector<const numbered*> pareto_front(const std::vector<numbered>& all,
                                          const std::vector<objective>& by) {
  std::vector<std::pair<const numbered*, std::vector<double>>> known;
  for (const auto& each : all) {
    std::vector<double> values;
    for (const auto& one : by) {
      const auto number = each.at(one.name);
      if (number) values.push_back(one.is_small ? -*number : *number);
    }
    if (values.size() == by.size()) known.emplace_back(&each, std::move(values));
  }
  std::ranges::stable_sort(known,
                           [](const auto& a, const auto& b) { return a.second[0] > b.second[0]; });
  std::vector<const numbered*> front;
  for (const auto& [each, values] : known) {
    const bool beaten = std::ranges::any_of(
        known, [&, &mine = values](const auto& other) { return dominates(other.second, mine); });
    if (!beaten) front.push_back(each);
  }
  return front;
}

std::size_t grid_axis::bin_of(double value) const {
  if (!(width > 0)) return 0;
  return std::min(bins - 1, static_cast<std::size_t>((value - low) / width));
}

grid grid_of(const std::vector<numbered>& all, const std::string& x, const std::string& y,
             std::size_t bins, bool minimizes) {
  std::vector<const numbered*> known;
  std::vector<double> across, up;
  for (const auto& each : all) {
    const auto at_x = each.at(x), at_y = each.at(y);
    if (!at_x || !at_y || !each.at("fitness")) continue;
    known.push_back(&each);
    across.push_back(*at_x);
    up.push_back(*at_y);
  }
  grid out{axis_of(x, across, bins), axis_of(y, up, bins), {}, known.size()};
  out.elites.resize(out.x.bins * out.y.bins);
  for (const auto* each : known) {
    auto& elite = out.elites[out.y.bin_of(*each->at(y)) * out.x.bins + out.x.bin_of(*each->at(x))];
    const auto fitness = *each->at("fitness");
    const bool better = elite == nullptr || (minimizes ? fitness < *elite->at("fitness")
                                                       : fitness > *elite->at("fitness"));
    if (better) elite = each;
  }
  return out;
}

}  // namespace germline::cli
