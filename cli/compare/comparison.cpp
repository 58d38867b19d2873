#include "cli/compare/comparison.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

/// A lineage's place in its run, and which of its iterations.
using place = std::pair<int, int>;

/// What was killed was not done, nor what no worker kept.
bool was_done(const v1::IterationInfo& each) {
  const bool was_lost = each.ending() == v1::ENDING_FAILED && each.reason() == "attempts_lost";
  return each.kind() == v1::WORK_KIND_ITERATE && each.ending() != v1::ENDING_UNSPECIFIED &&
         each.ending() != v1::ENDING_KILLED && !was_lost;
}

/// A run by what can be said of both: no ids.
class told_run {
 public:
  /// `again`: what this one may be a replay of; its iterations have the places of what they do
  /// again.
  /// `until_ms`: what ended later is left out; 0: nothing is.
  told_run(const v1::GetTreeReply& tree, const told_run* again, std::int64_t until_ms)
      : tree_(tree), until_ms_(until_ms) {
    const bool is_again = again != nullptr &&
                          tree.run().replay_of() == again->tree().run().run_id() &&
                          !tree.run().replay_of().empty();
    std::map<std::string, int> lineages;
    for (const auto& each : tree.run().lineages()) {
      lineages.emplace(each.lineage_id(), static_cast<int>(lineages.size()) + 1);
    }
    std::vector<const v1::IterationInfo*> all;
    for (const auto& each : tree.iterations()) {
      const bool has_place = is_again && again->places_.contains(each.replay_of());
      if (!was_done(each) && !(has_place && ended(each))) continue;
      if (is_late(each)) {
        ++later_;
      } else {
        all.push_back(&each);
      }
    }
    std::ranges::sort(all, [](const auto* a, const auto* b) {
      return std::pair(a->started_ms(), a->item_id()) < std::pair(b->started_ms(), b->item_id());
    });
    std::map<int, int> counts;
    for (const auto* each : all) {
      const int lineage = lineages[each->lineage_id()];
      place at{lineage, ++counts[lineage]};
      if (is_again && again->places_.contains(each->replay_of())) {
        at = again->places_.at(each->replay_of());
      }
      places_[each->item_id()] = at;
      iterations_[at] = each;
    }
    for (const auto& each : tree.generations()) generations_[each.generation_id()] = &each;
    for (const auto& each : tree.evaluations()) {
      if (!is_late(each)) evaluations_[each.parent_generation()].push_back(&each);
    }
  }

  const v1::GetTreeReply& tree() const { return tree_; }
  int later() const { return later_; }
  const std::map<place, const v1::IterationInfo*>& iterations() const { return iterations_; }
  const v1::IterationInfo* iteration(const place& at) const {
    const auto found = iterations_.find(at);
    return found == iterations_.end() ? nullptr : found->second;
  }
  const v1::GenerationInfo* generation(const std::string& id) const {
    const auto found = generations_.find(id);
    return found == generations_.end() ? nullptr : found->second;
  }
  const v1::GenerationInfo* seed() const {
    for (const auto& each : tree_.generations()) {
      if (each.lineage_id().empty()) return &each;
    }
    return nullptr;
  }

  /// "the seed", "what iteration 2 of lineage 1 bore".
  std::string name(const std::string& generation) const {
    const auto* known = this->generation(generation);
    if (known == nullptr) return "a generation that is not told of";
    if (known->lineage_id().empty()) return "the seed";
    const auto at = places_.find(known->born_of_iteration());
    return at == places_.end() ? "a generation that is not told of"
                               : "what " + words(at->second) + " bore";
  }

  static std::string words(const place& at) {
    return "iteration " + std::to_string(at.second) + " of lineage " + std::to_string(at.first);
  }

  /// What each evaluation came to, by its number; of what has another's source, that one's. What
  /// was killed came to nothing.
  std::map<std::int64_t, std::string> scores(const v1::GenerationInfo& of) const {
    std::map<std::int64_t, std::string> out;
    const auto found = evaluations_.find(of.same_as().empty() ? of.generation_id() : of.same_as());
    if (found == evaluations_.end()) return out;
    for (const auto* each : found->second) {
      if (each->ending() == v1::ENDING_SCORED) {
        out[each->number()] = nlohmann::json(each->score().score()).dump();
      } else if (each->ending() == v1::ENDING_FAILED && each->reason() != "attempts_lost") {
        out[each->number()] = "none (" + each->reason() + ")";
      }
    }
    return out;
  }

 private:
  bool is_late(const v1::IterationInfo& each) const {
    return until_ms_ > 0 && each.ended_ms() > until_ms_;
  }
  static bool ended(const v1::IterationInfo& each) {
    return each.ending() != v1::ENDING_UNSPECIFIED && each.ending() != v1::ENDING_KILLED;
  }

  const v1::GetTreeReply& tree_;
  std::int64_t until_ms_;
  int later_ = 0;
  std::map<std::string, place> places_;  // of iterations
  std::map<place, const v1::IterationInfo*> iterations_;
  std::map<std::string, const v1::GenerationInfo*> generations_;
  std::map<std::string, std::vector<const v1::IterationInfo*>> evaluations_;  // by generation
};

/// Of a request that a replay had no answer to, which it was.
std::string ending_words(const v1::IterationInfo& of) {
  const auto& details = of.details();
  const auto which =
      of.reason() == "difference" ? ": " + details.substr(0, details.find('\n')) : "";
  return word(of.ending()) + (of.reason().empty() ? "" : " (" + of.reason() + ")") + which;
}

std::string joined(const std::map<std::int64_t, std::string>& texts) {
  std::string out;
  for (const auto& [number, each] : texts) out += (out.empty() ? "" : ", ") + each;
  return out.empty() ? "none" : out;
}

class comparing {
 public:
  comparing(const told_run& of, const told_run& with) : of_(of), with_(with) {
    found_.of = of.tree().run().run_id();
    found_.with = with.tree().run().run_id();
    found_.later = of.later();
  }

  run_comparison all() {
    seeds();
    std::vector<std::pair<place, const v1::IterationInfo*>> ended(of_.iterations().begin(),
                                                                  of_.iterations().end());
    std::ranges::stable_sort(ended, {}, [](const auto& each) { return each.second->ended_ms(); });
    for (const auto& [at, iteration] : ended) {
      const auto before = found_.differences.size();
      ++found_.iterations;
      one(at, *iteration);
      if (found_.differences.size() == before) ++found_.same;
    }
    for (const auto& [at, iteration] : with_.iterations()) {
      if (of_.iteration(at) == nullptr) ++found_.more;
    }
    return std::move(found_);
  }

 private:
  void note(const run_difference& where, std::string what, const std::string& was,
            const std::string& is) {
    if (was == is) return;
    auto& made = found_.differences.emplace_back(where);
    made.what = std::move(what);
    made.was = was;
    made.is = is;
  }

  void seeds() {
    const auto* was = of_.seed();
    const auto* is = with_.seed();
    if (was == nullptr || is == nullptr) return;
    births({"generation 0", was->generation_id(), is->generation_id(), {}, {}, {}}, *was, *is);
  }

  void one(const place& at, const v1::IterationInfo& was) {
    const auto* is = with_.iteration(at);
    const run_difference where{
        told_run::words(at), was.item_id(), is ? is->item_id() : std::string(), {}, {}, {}};
    if (is == nullptr) return note(where, "iteration", "done", "not done");
    note(where, "parent", of_.name(was.parent_generation()), with_.name(is->parent_generation()));
    note(where, "model", was.model(), is->model());
    note(where, "ending", ending_words(was), ending_words(*is));
    const auto* bore = of_.generation(was.generation_id());
    const auto* bears = with_.generation(is->generation_id());
    if (bore != nullptr && bears != nullptr) births(where, *bore, *bears);
  }

  void births(const run_difference& where, const v1::GenerationInfo& was,
              const v1::GenerationInfo& is) {
    note(where, "source", was.source_id(), is.source_id());
    const auto before = of_.scores(was);
    const auto now = with_.scores(is);
    for (const auto& [number, score] : before) found_.scores += now.contains(number) ? 1 : 0;
    note(where, "scores", joined(before), joined(now));
  }

  const told_run& of_;
  const told_run& with_;
  run_comparison found_;
};

std::string line_of(const run_difference& each) {
  return safe_line(each.where) + ": " + each.what + " was " + safe_line(each.was) + ", is " +
         safe_line(each.is);
}

std::string ids_of(const run_difference& each) {
  return "  " + safe_line(each.of) + (each.with.empty() ? "" : " / " + safe_line(each.with)) + "\n";
}

}  // namespace

run_comparison compare(const v1::GetTreeReply& of, const v1::GetTreeReply& with) {
  const auto is_replay_of = [](const v1::RunInfo& one, const v1::RunInfo& other) {
    return !one.replay_of().empty() && one.replay_of() == other.run_id();
  };
  if (is_replay_of(of.run(), with.run())) return compare(with, of);
  const bool is_replay = is_replay_of(with.run(), of.run());
  const told_run was(of, nullptr, is_replay ? with.run().created_ms() : 0);
  const told_run is(with, &was, 0);
  return comparing(was, is).all();
}

std::string render_comparison(const run_comparison& found, const style& how) {
  constexpr std::size_t most = 20;
  std::string out = safe_line(found.with) + " against " + safe_line(found.of) + ": of " +
                    counted(found.iterations, "iteration") + " " + std::to_string(found.same) +
                    (found.same == 1 ? " is" : " are") + " the same, with parent, ending" +
                    (found.scores > 0 ? ", source and " + counted(found.scores, "score")
                                      : std::string(" and source")) +
                    "\n";
  if (found.more > 0) {
    out += counted(found.more, "iteration") + " more than there " +
           (found.more == 1 ? "was" : "were") + "\n";
  }
  if (found.later > 0) {
    out += counted(found.later, "iteration") + " that ended after the replay was made " +
           (found.later == 1 ? "is" : "are") + " left out\n";
  }
  if (found.iterations == 0) out += "It did none that could be compared.\n";
  if (found.differences.empty()) return out;
  const auto& first = found.differences.front();
  out +=
      painted(how, paint::bold, "First difference") + ": " + line_of(first) + "\n" + ids_of(first);
  if (found.differences.size() == 1) return out;
  out += "And behind it, which may follow from it:\n";
  for (std::size_t i = 1; i < std::min(found.differences.size(), most); ++i) {
    out += "  " + line_of(found.differences[i]) + "\n";
  }
  if (found.differences.size() > most) {
    out += "  and " + std::to_string(found.differences.size() - most) + " more\n";
  }
  return out;
}

std::string comparison_json(const run_comparison& found, bool one_line) {
  auto differences = nlohmann::json::array();
  for (const auto& each : found.differences) {
    differences.push_back({{"where", each.where},
                           {"of", each.of},
                           {"with", each.with},
                           {"what", each.what},
                           {"was", each.was},
                           {"is", each.is}});
  }
  const nlohmann::json out = {
      {"of", found.of},         {"with", found.with},        {"iterations", found.iterations},
      {"same", found.same},     {"more", found.more},        {"later", found.later},
      {"scores", found.scores}, {"differences", differences}};
  return out.dump(one_line ? -1 : 1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace germline::cli
