// Task mode: how the agent is measured. An evaluator gives it small repositories to work on, one
// after the other, and then has it run what it has made of them (docs/tasks.md of Germline). It
// works with the same tools and the same loop as on itself.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace agent {

/// Answers each line of `in` with one line of `out`, until `in` ends. Repositories are laid out in
/// `folder`, one at a time.
void serve_tasks(std::istream& in, std::ostream& out, const std::filesystem::path& folder);

}  // namespace agent
