#include <algorithm>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

/// What an event says, in as many lines as it takes: what has colours, and how wide the last line
/// is without them.
class event_line {
 public:
  explicit event_line(const style& how) : how_(how) {}

  /// `words` are trusted or safe.
  void add(std::string_view words, paint colour = paint::plain) {
    if (how_.terminal && used_ + width(words) > columns()) {
      return add_lines(words, used_ > margin ? 0 : columns() - used_, colour);
    }
    text_ += painted(how_, colour, words);
    used_ += width(words);
  }
  /// The last of it: a text from elsewhere. Its further lines are for `germline show`.
  void add_reason(std::string_view why) {
    constexpr std::size_t too_narrow = 20;
    if (why.empty()) return;
    add(":");
    const auto room = columns() - std::min(used_ + 1, columns());
    const auto wanted = std::min(width(summary(how_, why, 1 << 20)), too_narrow);
    if (how_.terminal && room < wanted) return add_lines(why, 0, paint::plain);
    add(" ");
    add_lines(why, std::max<std::size_t>(room, 1), paint::plain);
  }
  std::string take() { return std::move(text_) + "\n"; }

 private:
  // Beneath what follows the time.
  static constexpr std::size_t margin = 9;

  std::size_t columns() const { return static_cast<std::size_t>(how_.columns); }

  /// `room`: what is left of the present line; 0: it begins on a line of its own.
  void add_lines(std::string_view words, std::size_t room, paint colour) {
    const auto further = columns() - margin;
    if (room == 0 && words.starts_with(' ')) words.remove_prefix(1);
    const auto lines = reason_lines(how_, words, room == 0 ? further : room, further);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i > 0 || room == 0) {
        text_ += "\n" + std::string(margin, ' ');
        used_ = margin;
      }
      text_ += painted(how_, colour, lines[i]);
      used_ += width(lines[i]);
    }
  }

  const style& how_;
  std::string text_;
  std::size_t used_ = 0;
};

/// What the worker calls its own steps says no more than the phase.
bool is_phase_itself(const v1::ProgressEvent& progress) {
  if (progress.step() == word(progress.phase())) return true;
  switch (progress.phase()) {
    case v1::ITERATION_PHASE_PREPARING:
      return progress.step() == "prepare";
    case v1::ITERATION_PHASE_RUNNING:
      return progress.step() == "agent";
    case v1::ITERATION_PHASE_IMPORTING:
      return progress.step() == "import";
    case v1::ITERATION_PHASE_REPORTING:
      return progress.step() == "result";
    default:
      return false;
  }
}

void add_progress(event_line& line, const v1::ProgressEvent& progress) {
  line.add(word(progress.phase()));
  if (is_phase_itself(progress) && progress.status() == "started") {
    return line.add_reason(progress.detail());
  }
  if (!progress.step().empty()) line.add(" " + safe_line(progress.step()));
  if (!progress.status().empty()) {
    line.add(" " + safe_line(progress.status()),
             progress.status() == "failed" ? paint::red : paint::plain);
  }
  line.add_reason(progress.detail());
}

void add_beginning(event_line& line, const v1::IterationInfo& iteration,
                   const std::string& parent) {
  if (!iteration.waits_for().empty()) {
    line.add(" waits for " + safe_line(with_short_ids(iteration.waits_for())), paint::yellow);
    return;
  }
  if (iteration.attempts_size() > 1) {
    const auto& before = iteration.attempts(iteration.attempts_size() - 2);
    line.add(" began again (attempt " + std::to_string(iteration.attempts_size()) + ")" +
             (before.details().empty() ? "" : "; the attempt before it was lost"));
    line.add_reason(before.details());
    return;
  }
  line.add(" began");
  if (!parent.empty()) line.add(" from " + parent);
  const auto waited = first_wait_ms(iteration);
  if (waited >= long_wait_ms) line.add(", having waited " + duration(waited));
}

void add_evaluation(event_line& line, const v1::IterationInfo& evaluation) {
  line.add("evaluation " + std::to_string(evaluation.number()) + " of " +
           short_id(evaluation.parent_generation()) + " ");
  if (evaluation.ending() == v1::ENDING_UNSPECIFIED) return line.add("is under way");
  line.add(word(evaluation.ending()), colour_of(evaluation.ending()));
  if (evaluation.has_score()) return line.add(" " + number_words(evaluation.score().score()));
  const auto reason = reason_of(evaluation);
  if (!reason.empty()) line.add(" (" + safe_line(reason) + ")");
  line.add_reason(evaluation.details());
}

/// Only births have numbers; until then an iteration is told by its id.
void add_iteration(event_line& line, const v1::IterationInfo& iteration,
                   const std::string& parent) {
  if (iteration.kind() == v1::WORK_KIND_EVALUATE) return add_evaluation(line, iteration);
  const bool founding = iteration.kind() == v1::WORK_KIND_FOUND;
  if (founding && iteration.ending() == v1::ENDING_EVOLVED) {
    line.add("founded", colour_of(iteration.ending()));
    return line.add_reason(iteration.action());
  }
  line.add(founding ? "founding" : short_id(iteration.item_id()));
  if (iteration.ending() == v1::ENDING_UNSPECIFIED) {
    return add_beginning(line, iteration, parent);
  }
  line.add(" " + word(iteration.ending()), colour_of(iteration.ending()));
  if (iteration.ending() == v1::ENDING_EVOLVED) {
    line.add(", generation " + std::to_string(iteration.number()));
  }
  const auto reason = reason_of(iteration);
  if (!reason.empty()) line.add(" (" + safe_line(reason) + ")");
  const bool explains = iteration.ending() != v1::ENDING_EVOLVED && !iteration.details().empty();
  line.add_reason(explains ? iteration.details() : iteration.action());
}

paint colour_of_patch_line(std::string_view line) {
  if (line.starts_with("diff ") || line.starts_with("index ") || line.starts_with("+++") ||
      line.starts_with("---")) {
    return paint::bold;
  }
  if (line.starts_with("@@")) return paint::blue;
  if (line.starts_with('+')) return paint::green;
  if (line.starts_with('-')) return paint::red;
  return paint::plain;
}

}  // namespace

std::string render_event(const v1::WatchEvent& event, const style& how, bool names_lineage,
                         const std::string& parent) {
  event_line line(how);
  // The founding is of all lineages.
  const bool named = names_lineage && !event.lineage_id().empty();
  const auto lineage = named ? short_id(event.lineage_id()) + " " : "";
  line.add(time_of_day(event.time_ms()) + " " + lineage, paint::dim);
  switch (event.kind_case()) {
    case v1::WatchEvent::kProgress:
      add_progress(line, event.progress());
      break;
    case v1::WatchEvent::kIteration:
      add_iteration(line, event.iteration(), parent);
      break;
    case v1::WatchEvent::kLineage:
      line.add("lineage ");
      line.add(change_words(event.lineage()), colour_of(event.lineage()));
      line.add_reason(event.lineage().why());
      break;
    case v1::WatchEvent::KIND_NOT_SET:
      line.add("an event of a kind that this version does not know");
      break;
  }
  return line.take();
}

std::string event_story::tell(const v1::WatchEvent& event) {
  if (!event.lineage_id().empty()) {
    if (lineage_.empty()) lineage_ = event.lineage_id();
    names_lineages_ = names_lineages_ || lineage_ != event.lineage_id();
  }
  const auto text = render_event(event, how_, names_lineages_,
                                 event.has_iteration() ? parent_words(event.iteration()) : "");
  note(event);
  return text;
}

std::string event_story::parent_words(const v1::IterationInfo& iteration) const {
  // Where nothing was chosen it is the head.
  if (!iteration.has_choice()) return {};
  const auto& parent = iteration.parent_generation();
  auto head = heads_.find(iteration.lineage_id());
  // One of which nothing was born yet stands on the seed, but for a fork, of which no event says
  // where it began: there one that comes from the seed is not told.
  if (head == heads_.end()) head = heads_.find("");
  if (head != heads_.end() && head->second == parent) return {};
  const auto born = births_.find(parent);
  const auto number = born == births_.end() ? "" : std::to_string(born->second) + " ";
  return "generation " + number + short_id(parent);
}

void event_story::note(const v1::WatchEvent& event) {
  if (event.has_lineage() && !event.lineage().rolled_back_to().empty()) {
    heads_[event.lineage_id()] = event.lineage().rolled_back_to();
  }
  const auto& iteration = event.iteration();
  if (iteration.has_choice()) heads_[iteration.lineage_id()] = iteration.parent_generation();
  if (!event.has_iteration() || iteration.generation_id().empty() ||
      iteration.kind() == v1::WORK_KIND_EVALUATE || iteration.ending() != v1::ENDING_EVOLVED) {
    return;
  }
  births_[iteration.generation_id()] = iteration.number();
  heads_[iteration.lineage_id()] = iteration.generation_id();
}

std::string render_diff(const v1::DiffReply& reply, const style& how) {
  std::string text;
  if (!how.terminal) {
    text = reply.patch();
  } else {
    std::string_view rest = reply.patch();
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      const auto line = rest.substr(0, end);
      text += painted(how, colour_of_patch_line(line), safe_line(line)) + "\n";
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return text;
}

}  // namespace germline::cli
