#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "cli/commands/commands.hpp"
#include "cli/install_paths.hpp"
#include "cli/render/render.hpp"
#include "common/manifest/genome_manifest.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

/// Runs a program of the user's own PATH, with its output on standard error.
result<void> run_program(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return errno_error("fork", errno);
  if (child == 0) {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return errno_error("waitpid", errno);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return error(error_code::internal, "`" + words[0] + "` cannot be run: is it installed?");
  }
  return error(error_code::internal, "`" + words[0] + " " + words[3] + "` failed");
}

/// What building leaves in a genome's folder is no part of the genome.
bool is_left_over(const fs::path& name) {
  return name == "build" || name == ".git" || name == "__pycache__";
}

result<void> copy_genome(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  for (fs::directory_iterator entry(from, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const auto name = entry->path().filename();
    if (is_left_over(name)) continue;
    fs::copy(entry->path(), to / name,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks |
                 fs::copy_options::overwrite_existing,
             failed);
  }
  if (failed) return error(error_code::internal, "copying the genome: " + failed.message());
  return {};
}

result<void> make_repository(const init_options& options, const std::string& share_dir) {
  GERMLINE_TRY_ASSIGN(const auto genome, genome_folders(options.from, share_dir));
  const fs::path folder = options.folder;
  std::error_code failed;
  if (fs::exists(folder, failed) && !fs::is_empty(folder, failed)) {
    return error(error_code::already_exists,
                 "'" + options.folder + "' is there and is not an empty folder");
  }
  fs::create_directories(folder, failed);
  if (failed) return error(error_code::internal, options.folder + ": " + failed.message());
  for (const auto& each : genome) GERMLINE_TRY(copy_genome(each, folder));
  const std::vector<std::string> git{"git", "-C", options.folder};
  const auto with_git = [&](std::vector<std::string> words) {
    words.insert(words.begin(), git.begin(), git.end());
    return run_program(words);
  };
  GERMLINE_TRY(with_git({"init", "--quiet", "--initial-branch=main"}));
  GERMLINE_TRY(with_git({"add", "--all"}));
  return with_git({"-c", "user.name=germline", "-c", "user.email=germline@localhost", "-c",
                   "commit.gpgsign=false", "commit", "--quiet", "--message",
                   "The seed: genome " + options.from});
}

/// What `germline run` needs beside the folder, by the genome's own word.
std::string further_words(const fs::path& folder) {
  std::ifstream file(folder / "genome.toml");
  std::ostringstream text;
  text << file.rdbuf();
  const auto genome = parse_genome_manifest(text.str());
  if (!genome) return {};
  const bool measures = genome->fitness.model != model_kind::none;
  if (!measures && genome->model == model_kind::none) return {};
  return std::string(" --model NAME --budget '$5'") +
         (measures ? " --evaluation-budget '$0.10'" : "");
}

}  // namespace

exit_code run_init(const session& with, const init_options& options) {
  if (const auto made = make_repository(options, with.settings.get("share_dir")); !made)
    return with.fail(made.error());
  std::error_code failed;
  const auto path = fs::canonical(options.folder, failed).string();
  if (with.json) {
    with.data("{\"repository\": " + json_string(path) + ", \"branch\": \"main\"}\n");
  } else {
    with.data(path + "\n");
    with.message("made a repository with the genome '" + options.from +
                 "'; evolve it with: germline run " + options.folder +
                 further_words(options.folder) + " --iterations 4 --follow");
  }
  return exit_code::done;
}

}  // namespace germline::cli
