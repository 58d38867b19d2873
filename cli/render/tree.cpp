#include <map>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/money.hpp"
#include "common/text/tags.hpp"

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
  if (run.required_tags_size() > 0) {
    const auto tags = join_tags({run.required_tags().begin(), run.required_tags().end()});
    text += "  requires " + summary(how, tags, how.columns - 11) + "\n";
  }
  if (run.found_state() == "pending") text += "  the seed is being founded\n";
  if (run.found_state() == "refused") {
    const auto what = refusal_words(run);
    const auto further = static_cast<std::size_t>(how.columns - 4);
    const auto lines = reason_lines(how, refusal_details(run), further - what.size(), further);
    text += "  " + painted(how, paint::red, what + ":") + " " + lines[0] + "\n";
    for (std::size_t i = 1; i < lines.size(); ++i) text += "    " + lines[i] + "\n";
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
  const auto fitness = born == nullptr ? "" : fitness_words(*born, how);
  if (!fitness.empty()) text += "  " + painted(how, paint::bold, fitness);
  return text;
}

/// A text from elsewhere, on a terminal in a few lines.
void add_notes(std::vector<std::string>& notes, const style& how, paint colour,
               const std::string& text) {
  const auto room = static_cast<std::size_t>(how.columns - 10);
  for (const auto& line : reason_lines(how, text, room, room)) {
    notes.push_back(painted(how, colour, line));
  }
}

/// What was done and, where it was not born, why not; at most a few lines each.
std::vector<std::string> iteration_notes(const v1::IterationInfo& iteration, const style& how) {
  std::vector<std::string> notes;
  std::string attempts;
  if (iteration.attempts_size() > 1) {
    attempts = std::to_string(iteration.attempts_size()) + " attempts";
  }
  if (const auto waited = time_of(iteration).waited_ms; waited >= long_wait_ms) {
    attempts += (attempts.empty() ? "waited " : ", waited ") + duration(waited) + " for a slot";
  }
  if (!attempts.empty()) notes.push_back(attempts);
  if (!iteration.waits_for().empty()) {
    add_notes(notes, how, paint::yellow, "waits for " + iteration.waits_for());
  }
  if (!iteration.action().empty()) add_notes(notes, how, paint::plain, iteration.action());
  const bool explains =
      iteration.ending() != v1::ENDING_EVOLVED && iteration.ending() != v1::ENDING_UNSPECIFIED;
  if (explains && !iteration.details().empty()) {
    add_notes(notes, how, colour_of(iteration.ending()), iteration.details());
  }
  return notes;
}

/// One thing that happened in a lineage, with its notes.
struct leaf {
  std::string line;
  std::vector<std::string> notes;
};

leaf rollback_leaf(const v1::RollbackInfo& back, const style& how) {
  const auto marks = strokes_of(how);
  leaf out;
  out.line = painted(how, paint::yellow, "rolled back") + " " + marks.arrow + " generation " +
             std::to_string(back.number()) + " " +
             painted(how, paint::dim, short_id(back.generation_id()));
  if (!back.why().empty()) add_notes(out.notes, how, paint::plain, back.why());
  return out;
}

class tree_text {
 public:
  tree_text(const v1::GetTreeReply& reply, const style& how) : reply_(reply), how_(how) {
    for (const auto& generation : reply.generations()) {
      by_id_[generation.generation_id()] = &generation;
    }
  }

  std::string seed(const v1::GenerationInfo& generation) const {
    const auto fitness = fitness_words(generation, how_);
    return std::string(marks_.dot) + " " + name_of(generation) + "  the seed" +
           (fitness.empty() ? "" : ", " + painted(how_, paint::bold, fitness)) + "\n";
  }

  std::string lineage(const v1::LineageInfo& lineage, bool last_lineage) const {
    const std::string indent = last_lineage ? marks_.gap : marks_.bar;
    auto text = (last_lineage ? marks_.corner : marks_.tee) + lineage_line(lineage, how_) + "\n";
    const auto leaves = leaves_of(lineage.lineage_id());
    if (!lineage.forked_from().empty()) {
      text += indent + (leaves.empty() ? marks_.gap : marks_.bar) + "forked from " +
              origin(lineage.forked_from()) + "\n";
    }
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      const bool last = i + 1 == leaves.size();
      text += indent + (last ? marks_.corner : marks_.tee) + leaves[i].line + "\n";
      for (const auto& note : leaves[i].notes) {
        text += indent + (last ? marks_.gap : marks_.bar) + "   " + note + "\n";
      }
    }
    return text;
  }

 private:
  std::string name_of(const v1::GenerationInfo& generation) const {
    return "generation " + std::to_string(generation.number()) + " " +
           painted(how_, paint::dim,
                   short_id(generation.generation_id()) + " " + short_commit(generation.commit()));
  }
  std::string origin(const std::string& id) const {
    const auto known = by_id_.find(id);
    return known == by_id_.end() ? "generation " + short_id(id) : name_of(*known->second);
  }

  leaf iteration(const v1::IterationInfo& each) const {
    const auto born = by_id_.find(each.generation_id());
    const bool evolved = each.ending() == v1::ENDING_EVOLVED && born != by_id_.end();
    return {iteration_line(each, evolved ? born->second : nullptr, how_),
            iteration_notes(each, how_)};
  }

  /// A lineage's iterations and rollbacks, in the order in which they happened.
  std::vector<leaf> leaves_of(const std::string& lineage) const {
    std::vector<leaf> leaves;
    for (const auto& each : reply_.iterations()) {
      const bool founding = each.kind() == v1::WORK_KIND_FOUND;
      if (!founding && each.lineage_id() != lineage) continue;
      if (!founding) leaves.push_back(iteration(each));
      for (const auto& back : reply_.rollbacks()) {
        if (back.lineage_id() != lineage || back.after_iteration() != each.item_id()) continue;
        leaves.push_back(rollback_leaf(back, how_));
      }
    }
    return leaves;
  }

  const v1::GetTreeReply& reply_;
  const style& how_;
  const strokes marks_ = strokes_of(how_);
  std::map<std::string, const v1::GenerationInfo*> by_id_;
};

}  // namespace

std::string render_tree(const v1::GetTreeReply& reply, const style& how) {
  const tree_text tree(reply, how);
  auto text = head_line(reply.run(), how);
  for (const auto& each : reply.iterations()) {
    if (each.kind() != v1::WORK_KIND_FOUND || each.waits_for().empty()) continue;
    std::vector<std::string> notes;
    add_notes(notes, how, paint::yellow, "waits for " + each.waits_for());
    for (const auto& note : notes) text += "    " + note + "\n";
  }
  for (const auto& generation : reply.generations()) {
    if (generation.parent().empty()) text += tree.seed(generation);
  }
  const int lineages = reply.run().lineages_size();
  for (int i = 0; i < lineages; ++i) {
    text += tree.lineage(reply.run().lineages(i), i + 1 == lineages);
  }
  return text;
}

}  // namespace germline::cli
