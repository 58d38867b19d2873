#include "cli/render/render.hpp"
#include "cli/render/words.hpp"

namespace germline::cli {
namespace {

std::string line_start(const v1::WatchEvent& event, const style& how) {
  return painted(how, paint::dim,
                 time_of_day(event.time_ms()) + " " + short_id(event.lineage_id())) +
         " ";
}

std::string progress_words(const v1::ProgressEvent& progress, const style& how) {
  auto text = word(progress.phase());
  if (!progress.step().empty()) text += " " + safe_line(progress.step());
  if (!progress.status().empty()) {
    const auto colour = progress.status() == "failed" ? paint::red : paint::plain;
    text += " " + painted(how, colour, safe_line(progress.status()));
  }
  if (!progress.detail().empty()) text += ": " + safe_line(progress.detail());
  return text;
}

std::string iteration_words(const v1::IterationInfo& iteration, const style& how) {
  auto text = iteration.kind() == v1::WORK_KIND_FOUND
                  ? std::string("founding")
                  : "iteration #" + std::to_string(iteration.number());
  if (iteration.ending() == v1::ENDING_UNSPECIFIED) return text + " began";
  text += " " + painted(how, colour_of(iteration.ending()), word(iteration.ending()));
  if (!iteration.reason().empty()) text += " (" + safe_line(iteration.reason()) + ")";
  if (iteration.ending() != v1::ENDING_EVOLVED && !iteration.details().empty()) {
    // The rest of it is for `germline show`.
    text += ": " + safe_line(iteration.details().substr(0, iteration.details().find('\n')));
  } else if (!iteration.action().empty()) {
    text += ": " + safe_line(iteration.action());
  }
  return text;
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

std::string render_event(const v1::WatchEvent& event, const style& how) {
  auto text = line_start(event, how);
  switch (event.kind_case()) {
    case v1::WatchEvent::kProgress:
      text += progress_words(event.progress(), how);
      break;
    case v1::WatchEvent::kIteration:
      text += iteration_words(event.iteration(), how);
      break;
    case v1::WatchEvent::kLineage:
      text += "lineage " +
              painted(how, colour_of(event.lineage().state()), state_words(event.lineage()));
      if (!event.lineage().pause_details().empty()) {
        text += ": " + safe_line(event.lineage().pause_details());
      }
      break;
    case v1::WatchEvent::KIND_NOT_SET:
      text += "an event of a kind that this version does not know";
      break;
  }
  return text + "\n";
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
