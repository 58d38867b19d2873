#include <map>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/money.hpp"

namespace germline::cli {
namespace {

struct strokes {
  const char* tee;
  const char* corner;
  const char* bar;
  const char* gap;
  const char* dot;
  const char* arrow;
};

strokes strokes_of(const style& how) {
  if (how.unicode) return {"├─ ", "└─ ", "│  ", "   ", "●", "→"};
  return {"|- ", "`- ", "|  ", "   ", "*", "->"};
}

std::string spent_words(const v1::RunInfo& run, const style& how) {
  if (run.model().empty()) return "no model";
  return "model " + summary(how, run.model(), how.columns - 62) + ", spent " +
         format_usd(run.spent_nanousd()) + " of " + format_usd(run.budget_nanousd());
}

std::string head_line(const v1::RunInfo& run, const style& how) {
  auto text = painted(how, paint::bold, short_id(run.run_id()));
  if (!run.name().empty()) text += " " + summary(how, run.name(), how.columns - 23);
  text += "\n  seed " + short_commit(run.seed_commit()) + ", " + spent_words(run, how) + "\n";
  if (run.found_state() == "pending") text += "  the seed is being founded\n";
  if (run.found_state() == "refused") {
    text += "  " + painted(how, paint::red, "the seed was refused: ") +
            summary(how, run.found_details(), how.columns - 26) + "\n";
  }
  return text;
}

std::string lineage_line(const v1::LineageInfo& lineage, const style& how) {
  auto text =
      short_id(lineage.lineage_id()) + "  " +
      painted(how, colour_of(lineage.state(), lineage.pause_reason()), state_words(lineage)) +
      ", depth " + std::to_string(lineage.depth()) + ", " +
      std::to_string(lineage.iterations_done());
  if (lineage.max_iterations() > 0) text += " of " + std::to_string(lineage.max_iterations());
  return text + " iterations";
}

std::string iteration_line(const v1::IterationInfo& iteration, const v1::GenerationInfo* born,
                           const style& how) {
  const auto marks = strokes_of(how);
  auto text = painted(how, colour_of(iteration.ending()), word(iteration.ending()));
  if (iteration.ending() == v1::ENDING_UNSPECIFIED) {
    text += " (" + live_words(iteration) + ")";
  } else if (const auto reason = reason_of(iteration); !reason.empty()) {
    text += " (" + summary(how, reason, how.columns - 56) + ")";
  }
  if (born == nullptr) text += " " + painted(how, paint::dim, short_id(iteration.item_id()));
  if (born != nullptr) {
    text += std::string(" ") + marks.arrow + " generation " + std::to_string(born->number()) + " " +
            painted(how, paint::dim,
                    short_id(born->generation_id()) + " " + short_commit(born->commit()));
  }
  if (iteration.ended_ms() > 0 && iteration.attempts_size() > 0) {
    text += "  " + duration(time_of(iteration).ran_ms);
  }
  return text;
}

/// What was done and, where it was not born, why not; at most one line each.
std::vector<std::string> iteration_notes(const v1::IterationInfo& iteration, const style& how) {
  std::vector<std::string> notes;
  const int room = how.columns - 10;
  std::string attempts;
  if (iteration.attempts_size() > 1) {
    attempts = std::to_string(iteration.attempts_size()) + " attempts";
  }
  if (const auto waited = time_of(iteration).waited_ms; waited >= long_wait_ms) {
    attempts += (attempts.empty() ? "waited " : ", waited ") + duration(waited) + " for a slot";
  }
  if (!attempts.empty()) notes.push_back(attempts);
  if (!iteration.action().empty()) notes.push_back(summary(how, iteration.action(), room));
  const bool explains =
      iteration.ending() != v1::ENDING_EVOLVED && iteration.ending() != v1::ENDING_UNSPECIFIED;
  if (explains && !iteration.details().empty()) {
    notes.push_back(
        painted(how, colour_of(iteration.ending()), summary(how, iteration.details(), room)));
  }
  return notes;
}

}  // namespace

std::string render_tree(const v1::GetTreeReply& reply, const style& how) {
  const auto marks = strokes_of(how);
  auto text = head_line(reply.run(), how);
  std::map<std::string, const v1::GenerationInfo*> by_id;
  for (const auto& generation : reply.generations()) {
    by_id[generation.generation_id()] = &generation;
  }
  for (const auto& generation : reply.generations()) {
    if (!generation.parent().empty()) continue;
    text +=
        std::string(marks.dot) + " generation " + std::to_string(generation.number()) + " " +
        painted(how, paint::dim,
                short_id(generation.generation_id()) + " " + short_commit(generation.commit())) +
        "  the seed\n";
  }
  const int lineages = reply.run().lineages_size();
  for (int i = 0; i < lineages; ++i) {
    const auto& lineage = reply.run().lineages(i);
    const bool last_lineage = i + 1 == lineages;
    const std::string indent = last_lineage ? marks.gap : marks.bar;
    text += (last_lineage ? marks.corner : marks.tee) + lineage_line(lineage, how) + "\n";
    std::vector<const v1::IterationInfo*> own;
    for (const auto& iteration : reply.iterations()) {
      if (iteration.lineage_id() == lineage.lineage_id() &&
          iteration.kind() != v1::WORK_KIND_FOUND) {
        own.push_back(&iteration);
      }
    }
    for (std::size_t k = 0; k < own.size(); ++k) {
      const bool last = k + 1 == own.size();
      const auto born = by_id.find(own[k]->generation_id());
      const auto* generation = born == by_id.end() ? nullptr : born->second;
      text += indent + (last ? marks.corner : marks.tee) +
              iteration_line(*own[k], own[k]->ending() == v1::ENDING_EVOLVED ? generation : nullptr,
                             how) +
              "\n";
      for (const auto& note : iteration_notes(*own[k], how)) {
        text += indent + (last ? marks.gap : marks.bar) + "   " + note + "\n";
      }
    }
  }
  return text;
}

}  // namespace germline::cli
