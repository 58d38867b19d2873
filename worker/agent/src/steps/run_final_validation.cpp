#include <algorithm>

#include "bounded_output.hpp"
#include "failure_summary.hpp"
#include "steps/steps.hpp"

namespace agent {
namespace {

bool is_protected(const std::string& path) {
  return path == "genome.toml" || path.starts_with("protected/");
}

// Puts protected paths back. Returns what it put back, one a line.
std::string restore_protected(session& s, std::vector<std::string>& changed) {
  std::string restored;
  for (const auto& path : changed) {
    if (is_protected(path) && s.clone.restore(s.base, path)) restored += path + "\n";
  }
  std::erase_if(changed, is_protected);
  return restored;
}

validation finish(session& s, validation verdict) {
  s.report.report("run_final_validation", verdict.good ? "done" : "failed", verdict.failures);
  return verdict;
}

}  // namespace

validation run_final_validation(session& s) {
  s.report.report("run_final_validation", "started");
  auto changed = s.clone.changed_since(s.base);
  if (!changed) return finish(s, {false, false, changed.why()});
  std::erase(*changed, s.work.context_path);
  const auto restored = restore_protected(s, *changed);
  if (changed->empty()) return finish(s, {false, false, "no source was changed"});
  for (const auto* step : {"build", "test"}) {
    const auto done = call_tool(s.tools, step, json::of());
    if (done.is_error) {
      // The names come first: whoever shows only the beginning shows them.
      const auto summary = failure_summary(done.text);
      return finish(s, {true, false,
                        std::string(step) + " failed:" + (summary.empty() ? "" : " " + summary) +
                            "\n" + bounded(done.text, 4000, 8000)});
    }
  }
  if (!restored.empty()) {
    return finish(
        s, {true, false, "protected paths were changed, and have been put back:\n" + restored});
  }
  return finish(s, {true, true, {}});
}

}  // namespace agent
