#include "cli/render/archive.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

/// With all its digits, so that reading it gives the same number.
std::string exact(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return {text, end.ptr};
}

bool is_whole(const v1::GenerationInfo& generation) {
  return generation.fitness().failed() == 0 && generation.fitness().open() == 0;
}

}  // namespace

bool is_listed_as_another(const v1::GetTreeReply& tree, const v1::GenerationInfo& generation) {
  return !generation.same_as().empty() &&
         std::ranges::any_of(tree.generations(), [&](const auto& each) {
           return each.generation_id() == generation.same_as();
         });
}

std::vector<const v1::GenerationInfo*> ranking(const v1::GetTreeReply& tree) {
  std::vector<const v1::GenerationInfo*> ranked;
  for (const auto& each : tree.generations()) {
    if (each.fitness().samples() > 0 && !is_listed_as_another(tree, each)) ranked.push_back(&each);
  }
  const bool minimizes = tree.run().fitness_direction() == v1::FITNESS_DIRECTION_MINIMIZE;
  const auto cautious = [&](const v1::GenerationInfo& of) {
    return minimizes ? -of.fitness().high() : of.fitness().low();
  };
  const auto mean = [&](const v1::GenerationInfo& of) {
    return minimizes ? -of.fitness().mean() : of.fitness().mean();
  };
  std::ranges::stable_sort(ranked, [&](const auto* a, const auto* b) {
    if (is_whole(*a) != is_whole(*b)) return is_whole(*a);
    if (cautious(*a) != cautious(*b)) return cautious(*a) > cautious(*b);
    return mean(*a) > mean(*b);
  });
  return ranked;
}

std::string render_ranking(const std::vector<const v1::GenerationInfo*>& ranked, std::size_t count,
                           const style& how) {
  std::vector<std::string> header{"RANK", "GENERATION", "NUMBER",  "DEPTH",   "FITNESS",
                                  "LOW",  "HIGH",       "SAMPLES", "LINEAGE", "COMMIT"};
  const bool some_barred = std::any_of(
      ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(std::min(count, ranked.size())),
      [](const auto* each) { return each->barred(); });
  if (some_barred) header.emplace_back("KILLED");
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < ranked.size() && i < count; ++i) {
    const auto& each = *ranked[i];
    const auto& fitness = each.fitness();
    const bool repeated = fitness.samples() > 1;
    rows.push_back({std::to_string(i + 1), short_id(each.generation_id()),
                    std::to_string(each.number()), std::to_string(each.depth()),
                    number_words(fitness.mean()), repeated ? number_words(fitness.low()) : "-",
                    repeated ? number_words(fitness.high()) : "-",
                    std::to_string(fitness.samples()) +
                        (is_whole(each) ? ""
                                        : "/" + std::to_string(fitness.samples() +
                                                               fitness.failed() + fitness.open())),
                    each.lineage_id().empty() ? "-" : short_id(each.lineage_id()),
                    short_commit(each.commit())});
    if (some_barred) rows.back().emplace_back(each.barred() ? "yes" : "-");
  }
  return fitting_table(how, std::move(header), std::move(rows), {9, 8, 3, 5, 6});
}

std::string ranking_json(const std::vector<const v1::GenerationInfo*>& ranked, std::size_t count) {
  std::string text = "[";
  for (std::size_t i = 0; i < ranked.size() && i < count; ++i) {
    if (i > 0) text += ",";
    auto line = to_json(*ranked[i], true);
    line.pop_back();  // its line end
    text += "\n  " + line;
  }
  return text + (text.size() > 1 ? "\n]\n" : "]\n");
}

std::string archive_lines(const v1::GetTreeReply& tree) {
  std::map<std::string, std::vector<const v1::IterationInfo*>> evaluations;
  for (const auto& each : tree.evaluations()) {
    evaluations[each.parent_generation()].push_back(&each);
  }
  std::string text;
  for (const auto& each : tree.generations()) {
    v1::ShowReply line;
    *line.mutable_generation() = each;
    for (const auto* evaluation : evaluations[each.generation_id()]) {
      *line.add_evaluations() = *evaluation;
    }
    auto one = nlohmann::ordered_json::parse(to_json(line, true));
    one["run_id"] = tree.run().run_id();
    one["fitness_direction"] = v1::FitnessDirection_Name(tree.run().fitness_direction());
    text += one.dump(-1, ' ', true) + "\n";
  }
  return text;
}

std::string archive_csv(const v1::GetTreeReply& tree) {
  std::string text =
      "generation_id,lineage_id,parent,number,depth,commit,source_id,born_ms,samples,failed,open,"
      "mean,low,high,barred,source_bytes,context_bytes,same_as,merged,"
      "novelty,cost_usd,imported\r\n";
  for (const auto& each : tree.generations()) {
    const auto& fitness = each.fitness();
    text += each.generation_id() + "," + each.lineage_id() + "," + each.parent() + "," +
            std::to_string(each.number()) + "," + std::to_string(each.depth()) + "," +
            each.commit() + "," + each.source_id() + "," + std::to_string(each.born_ms()) + "," +
            std::to_string(fitness.samples()) + "," + std::to_string(fitness.failed()) + "," +
            std::to_string(fitness.open());
    const bool repeated = fitness.samples() > 1;
    text += "," + (fitness.samples() > 0 ? exact(fitness.mean()) : "");
    text += "," + (repeated ? exact(fitness.low()) : "");
    text += "," + (repeated ? exact(fitness.high()) : "");
    text += std::string(",") + (each.barred() ? "true" : "false") + "," +
            std::to_string(each.source_bytes()) + "," + std::to_string(each.context_bytes()) + "," +
            each.same_as() + ",";
    for (int i = 0; i < each.merged_size(); ++i) text += (i > 0 ? " " : "") + each.merged(i);
    text += "," + (each.has_likeness() ? exact(1 - each.likeness()) : "") + "," +
            exact(static_cast<double>(each.cost_nanousd()) / 1e9) + "," + each.imported() + "\r\n";
  }
  return text;
}

}  // namespace germline::cli
