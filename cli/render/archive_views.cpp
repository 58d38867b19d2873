#include "cli/render/archive_views.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

nlohmann::json json_of(const numbered& each) {
  const auto& generation = *each.generation;
  nlohmann::json out{{"generation_id", generation.generation_id()},
                     {"lineage_id", generation.lineage_id()},
                     {"number", generation.number()},
                     {"barred", generation.barred()},
                     {"numbers", nlohmann::json::object()}};
  for (const auto& [name, value] : each.numbers) out["numbers"][name] = value;
  return out;
}

std::string dumped(const nlohmann::json& what) {
  return what.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// For a narrow cell.
std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

std::string right(const std::string& text, std::size_t columns) {
  return std::string(columns > text.size() ? columns - text.size() : 0, ' ') + text;
}

}  // namespace

std::string render_numbered(const std::vector<const numbered*>& rows,
                            const std::vector<std::string>& names, const style& how) {
  std::vector<std::string> header{"GENERATION", "NUMBER"};
  for (const auto& name : names) header.push_back(safe_line(name));
  header.insert(header.end(), {"LINEAGE", "COMMIT"});
  const bool some_barred =
      std::ranges::any_of(rows, [](const auto* each) { return each->generation->barred(); });
  if (some_barred) header.emplace_back("KILLED");
  std::vector<std::vector<std::string>> table;
  for (const auto* each : rows) {
    const auto& generation = *each->generation;
    auto& row = table.emplace_back();
    row = {short_id(generation.generation_id()), std::to_string(generation.number())};
    for (const auto& name : names) {
      const auto number = each->at(name);
      row.push_back(number ? number_words(*number) : "-");
    }
    row.push_back(generation.lineage_id().empty() ? "-" : short_id(generation.lineage_id()));
    row.push_back(short_commit(generation.commit()));
    if (some_barred) row.emplace_back(generation.barred() ? "yes" : "-");
  }
  const auto commit = names.size() + 3;
  return fitting_table(how, std::move(header), std::move(table), {commit, commit - 1});
}

std::string numbered_json(const std::vector<const numbered*>& rows) {
  auto all = nlohmann::json::array();
  for (const auto* each : rows) all.push_back(json_of(*each));
  return dumped(all);
}

std::string render_grid(const grid& of, const style& how) {
  constexpr std::size_t cell = 10, margin = 11;
  std::string text;
  std::size_t filled = 0;
  for (std::size_t row = of.y.bins; row-- > 0;) {
    text += right(short_number(of.y.edge(row)), margin) + " ";
    for (std::size_t column = 0; column < of.x.bins; ++column) {
      const auto* elite = of.at(row, column);
      if (elite != nullptr) ++filled;
      text += right(elite == nullptr ? "." : short_number(*elite->at("fitness")), cell);
    }
    text += "\n";
  }
  text += std::string(margin + 1, ' ');
  for (std::size_t column = 0; column < of.x.bins; ++column) {
    text += right(short_number(of.x.edge(column)), cell);
  }
  const auto span = [](const grid_axis& axis) {
    return safe_line(axis.name) + " from " + number_words(axis.low) + " to " +
           number_words(axis.high);
  };
  text += "\n" +
          painted(how, paint::dim,
                  "fitness of the best in each cell; across " + span(of.x) + ", up " + span(of.y) +
                      "; a label is where its cells begin") +
          "\n";
  return text + std::to_string(filled) + " of " + std::to_string(of.elites.size()) +
         " cells have one, of " + counted(static_cast<std::int64_t>(of.generations), "generation") +
         "\n";
}

std::string grid_json(const grid& of) {
  const auto json_axis = [](const grid_axis& axis) {
    return nlohmann::json{{"name", axis.name},
                          {"low", axis.low},
                          {"high", axis.high},
                          {"bins", axis.bins},
                          {"width", axis.width}};
  };
  nlohmann::json out{
      {"x", json_axis(of.x)}, {"y", json_axis(of.y)}, {"cells", nlohmann::json::array()}};
  for (std::size_t i = 0; i < of.elites.size(); ++i) {
    if (of.elites[i] == nullptr) continue;
    auto cell = json_of(*of.elites[i]);
    cell["column"] = i % of.x.bins;
    cell["row"] = i / of.x.bins;
    out["cells"].push_back(std::move(cell));
  }
  return dumped(out);
}

}  // namespace germline::cli
