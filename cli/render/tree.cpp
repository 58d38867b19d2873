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
  const auto model = run.models().empty() ? "model " + summary(how, run.model(), how.columns - 62)
                                          : std::to_string(run.models_size()) + " models";
  return model + ", spent " + format_usd(run.spent_nanousd()) + " of " +
         format_usd(run.budget_nanousd());
}

std::string head_line(const v1::RunInfo& run, const style& how) {
  auto text = painted(how, paint::bold, short_id(run.run_id()));
  if (!run.name().empty()) text += " " + summary(how, run.name(), how.columns - 23);
  text += "\n  seed " + short_commit(run.seed_commit()) + ", " + spent_words(run, how) + "\n";
  const auto counted = counted_words(spent_of(run), budget_of(run));
  if (!counted.empty()) text += "  taken " + counted + "\n";
  if (!run.replay_of().empty()) text += "  replay of " + replay_words(run) + "\n";
  if (run.required_tags_size() > 0) {
    const auto tags = join_tags({run.required_tags().begin(), run.required_tags().end()});
    text += "  requires " + summary(how, tags, how.columns - 11) + "\n";
  }
  if (run.priority() != 0 || run.weight() > 1) text += "  share " + share_words(run) + "\n";
  if (moves_lineages(run)) {
    text += "  strategy " + summary(how, run.strategy(), how.columns - 11) + "\n";
  }
  if (!run.models().empty()) {
    text += "  models " + summary(how, model_words(run), how.columns - 9) + "\n";
  }
  if (run.inspirations() > 0) text += "  inspirations " + std::to_string(run.inspirations()) + "\n";
  for (const auto& rule : run.policy()) {
    text += "  policy " + summary(how, rule, how.columns - 9) + "\n";
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

/// What is told of a generation behind its names: how good it is, and whether it was killed.
std::vector<std::pair<paint, std::string>> marks_of(const v1::GenerationInfo& generation,
                                                    const style& how) {
  std::vector<std::pair<paint, std::string>> marks;
  if (auto words = fitness_words(generation, how); !words.empty()) {
    marks.emplace_back(paint::bold, std::move(words));
  }
  if (!generation.same_as().empty()) {
    marks.emplace_back(paint::dim, "the source of " + short_id(generation.same_as()));
  }
  if (!generation.imported().empty()) {
    marks.emplace_back(paint::dim, "imported " + short_id(generation.imported()));
  }
  for (const auto& merged : generation.merged()) {
    marks.emplace_back(paint::dim, "merged " + short_id(merged));
  }
  if (generation.barred()) marks.emplace_back(paint::magenta, "killed");
  return marks;
}

/// What was done and, where it was not born, why not; at most a few lines each.
std::vector<std::string> iteration_notes(const v1::IterationInfo& iteration, const style& how) {
  std::vector<std::string> notes;
  std::string attempts;
  if (iteration.attempts_size() > 1) {
    attempts = std::to_string(iteration.attempts_size()) + " attempts";
  }
  if (const auto waited = time_of(iteration).waited_ms; waited >= long_wait_ms) {
    attempts += (attempts.empty() ? "waited " : ", waited ") + duration(waited);
  }
  if (!attempts.empty()) notes.push_back(attempts);
  if (!iteration.waits_for().empty()) {
    add_notes(notes, how, paint::yellow, "waits for " + with_short_ids(iteration.waits_for()));
  }
  if (!iteration.action().empty()) add_notes(notes, how, paint::plain, iteration.action());
  const bool explains =
      iteration.ending() != v1::ENDING_EVOLVED && iteration.ending() != v1::ENDING_UNSPECIFIED;
  if (explains && !iteration.details().empty()) {
    add_notes(notes, how, colour_of(iteration.ending()), iteration.details());
  }
  return notes;
}

/// The strokes before one: the lineage's and its own.
constexpr std::size_t leaf_margin = 6;

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
    auto text = std::string(marks_.dot) + " " + name_of(generation) + "  the seed";
    auto used = std::string_view("*   the seed").size() + width(plain_name_of(generation));
    std::string more;  // what does not fit behind it
    for (const auto& [colour, words] : marks_of(generation, how_)) {
      used += 2 + width(words);
      if (how_.terminal && used > static_cast<std::size_t>(how_.columns)) {
        std::vector<std::string> lines;
        add_notes(lines, how_, colour, words);
        for (const auto& line : lines) more += "    " + line + "\n";
      } else {
        text += ", " + painted(how_, colour, words);
      }
    }
    return text + "\n" + more;
  }

  std::string lineage(const v1::LineageInfo& lineage, bool last_lineage) const {
    const std::string indent = last_lineage ? marks_.gap : marks_.bar;
    auto text = (last_lineage ? marks_.corner : marks_.tee) + lineage_line(lineage, how_) + "\n";
    const auto leaves = leaves_of(lineage);
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
  std::string name_of(const v1::GenerationInfo& generation, const style& how) const {
    return "generation " + std::to_string(generation.number()) + " " +
           painted(how, paint::dim,
                   short_id(generation.generation_id()) + " " + short_commit(generation.commit()));
  }
  std::string name_of(const v1::GenerationInfo& generation) const {
    return name_of(generation, how_);
  }
  std::string plain_name_of(const v1::GenerationInfo& generation) const {
    return name_of(generation, colourless_);
  }
  std::string origin(const std::string& id) const {
    const auto known = by_id_.find(id);
    return known == by_id_.end() ? "generation " + short_id(id) : name_of(*known->second);
  }

  /// `head`: where its lineage stood before it.
  leaf iteration(const v1::IterationInfo& each, const std::string& head) const {
    const auto born = by_id_.find(each.generation_id());
    const bool evolved = each.ending() == v1::ENDING_EVOLVED && born != by_id_.end();
    const auto* generation = evolved ? born->second : nullptr;
    leaf out{iteration_line(each, generation, how_), {}};
    if (generation != nullptr) add_marks(out, *generation, each);
    const auto& parent = each.parent_generation();
    if (!parent.empty() && !head.empty() && parent != head) {
      add_notes(out.notes, how_, paint::plain, "from " + parent_words(parent, each.lineage_id()));
      if (each.has_choice()) {
        add_notes(out.notes, how_, paint::plain,
                  each.imported().empty() ? choice_words(each.choice())
                                          : "in its agent's place " + safe_line(each.imported()));
      }
    }
    for (auto& note : iteration_notes(each, how_)) out.notes.push_back(std::move(note));
    return out;
  }

  /// Behind the line of its birth, and on a terminal beneath it where that has no room.
  void add_marks(leaf& out, const v1::GenerationInfo& born, const v1::IterationInfo& each) const {
    auto used = leaf_margin + width(iteration_line(each, &born, colourless_));
    for (const auto& [colour, words] : marks_of(born, how_)) {
      used += 2 + width(words);
      if (how_.terminal && used > static_cast<std::size_t>(how_.columns)) {
        add_notes(out.notes, how_, colour, words);
      } else {
        out.line += "  " + painted(how_, colour, words);
      }
    }
  }

  /// "generation 3 gen_... of lin_...", where it is another lineage's.
  std::string parent_words(const std::string& id, const std::string& lineage) const {
    const auto known = by_id_.find(id);
    if (known == by_id_.end()) return "generation " + short_id(id);
    const auto& parent = *known->second;
    auto text = "generation " + std::to_string(parent.number()) + " " + short_id(id);
    if (parent.parent().empty()) return text + ", the seed";
    return parent.lineage_id() == lineage ? text : text + " of " + short_id(parent.lineage_id());
  }

  /// Where a lineage stood before anything happened in it.
  std::string start_of(const v1::LineageInfo& lineage) const {
    if (!lineage.forked_from().empty()) return lineage.forked_from();
    for (const auto& each : reply_.generations()) {
      if (each.parent().empty()) return each.generation_id();
    }
    return {};
  }

  /// A lineage's iterations and rollbacks, in the order in which they happened, and what it waits
  /// for since, or why it does not go on.
  std::vector<leaf> leaves_of(const v1::LineageInfo& lineage) const {
    const auto& id = lineage.lineage_id();
    auto head = start_of(lineage);
    std::vector<leaf> leaves;
    for (const auto& each : reply_.iterations()) {
      const bool founding = each.kind() == v1::WORK_KIND_FOUND;
      if (!founding && each.lineage_id() != id) continue;
      if (!founding) {
        leaves.push_back(iteration(each, head));
        if (each.ending() == v1::ENDING_EVOLVED) {
          head = each.generation_id();
        } else if (each.has_choice()) {
          head = each.parent_generation();
        }
      }
      for (const auto& back : reply_.rollbacks()) {
        if (back.lineage_id() != id || back.after_iteration() != each.item_id()) continue;
        leaves.push_back(rollback_leaf(back, how_));
        head = back.generation_id();
      }
    }
    if (const auto idle = idle_words(lineage); !idle.empty()) {
      std::vector<std::string> lines;
      add_notes(lines, how_, paint::yellow, "waits for " + with_short_ids(idle));
      leaves.push_back({lines.front(), {lines.begin() + 1, lines.end()}});
    }
    if (const auto why = halted_words(lineage); !why.empty()) {
      std::vector<std::string> lines;
      add_notes(lines, how_, colour_of(lineage.state(), lineage.pause_reason()), why);
      leaves.push_back({lines.front(), {lines.begin() + 1, lines.end()}});
    }
    return leaves;
  }

  const v1::GetTreeReply& reply_;
  const style& how_;
  const style colourless_{
      .terminal = how_.terminal, .unicode = how_.unicode, .columns = how_.columns};
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
    add_notes(notes, how, paint::yellow, "waits for " + with_short_ids(each.waits_for()));
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
