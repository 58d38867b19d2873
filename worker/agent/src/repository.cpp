#include "repository.hpp"

#include <algorithm>

#include "process.hpp"

namespace agent {
namespace {

void add_lines(const std::string& text, std::vector<std::string>& into) {
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', begin)) {
    const auto line = text.substr(begin, end - begin);
    if (!line.empty() && std::find(into.begin(), into.end(), line) == into.end()) {
      into.push_back(line);
    }
    begin = end + 1;
  }
}

result<bool> without_text(const result<std::string>& done) {
  if (!done) return error{done.why()};
  return true;
}

}  // namespace

result<std::string> repository::git(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv = {"git", "-c", "core.quotePath=false"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto done = run_process(argv, directory_, std::chrono::minutes(2));
  if (!done.ok()) return error{"git " + arguments.front() + " failed: " + done.output};
  return done.output;
}

result<std::string> repository::head() const {
  auto text = git({"rev-parse", "HEAD"});
  if (text && !text->empty()) text->pop_back();
  return text;
}

result<std::vector<std::string>> repository::changed_since(const std::string& base) const {
  const auto tracked = git({"diff", "--name-only", "--no-renames", base});
  if (!tracked) return error{tracked.why()};
  const auto untracked = git({"ls-files", "--others", "--exclude-standard"});
  if (!untracked) return error{untracked.why()};
  std::vector<std::string> out;
  add_lines(*tracked, out);
  add_lines(*untracked, out);
  return out;
}

result<bool> repository::restore(const std::string& base, const std::string& path) const {
  if (git({"cat-file", "-e", base + ":./" + path})) {
    return without_text(git({"checkout", "-q", base, "--", path}));
  }
  return without_text(git({"clean", "-fdq", "--", path}));
}

result<bool> repository::reset_to(const std::string& base) const {
  const auto done = git({"reset", "-q", "--hard", base});
  if (!done) return error{done.why()};
  return without_text(git({"clean", "-fdq"}));
}

result<bool> repository::commit_all(const std::string& message) const {
  const auto added = git({"add", "-A"});
  if (!added) return error{added.why()};
  return without_text(git({"commit", "-q", "--allow-empty", "-m", message}));
}

result<bool> repository::push(const std::string& remote, const std::string& branch) const {
  return without_text(git({"push", "-q", remote, "HEAD:" + branch}));
}

}  // namespace agent
