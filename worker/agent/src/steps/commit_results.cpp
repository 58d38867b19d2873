#include "bounded_output.hpp"
#include "steps/steps.hpp"

namespace agent {
namespace {

constexpr std::size_t max_history = 200;
constexpr std::size_t kept_history = 120;

result<bool> commit_and_push(session& s, bool keep_code, const std::string& goal,
                             const std::string& details) {
  const auto path = s.work.workspace + "/" + s.work.context_path;
  if (!keep_code) {
    if (const auto done = s.clone.reset_to(s.base); !done) return done;
  }
  s.remembered.add_entry(goal, keep_code ? "success" : "failure", details);
  s.remembered.compact(max_history, kept_history);
  if (const auto done = s.remembered.save(path); !done) return done;
  const auto title = (keep_code ? "agent: " : "agent: remember a failure: ") + bounded(goal, 70, 0);
  const auto subject = title.substr(0, title.find('\n'));
  if (const auto done = s.clone.commit_all(subject + "\n\n" + details); !done) return done;
  return s.clone.push(s.work.remote, s.work.branch);
}

}  // namespace

result<bool> commit_results(session& s, bool keep_code, const std::string& goal,
                            const std::string& details) {
  s.report.report("commit_results", "started", keep_code ? "code and context" : "context alone");
  const auto done = commit_and_push(s, keep_code, goal, details);
  s.report.report("commit_results", done ? "done" : "failed", done ? "" : done.why());
  return done;
}

}  // namespace agent
