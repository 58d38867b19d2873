#include "cli/commands/transcript_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view extension = ".jsonl";
constexpr std::size_t most_named = 8;

/// `transcripts` of the first worker, `transcripts-2` of the second.
result<std::vector<std::string>> folders_of_up(const session& with) {
  const auto& state = with.settings.get("state_dir");
  std::vector<std::string> folders;
  std::error_code failed;
  for (fs::directory_iterator at(state, failed), end; !failed && at != end; at.increment(failed)) {
    const auto name = at->path().filename().string();
    std::error_code ignored;
    if (name.starts_with("transcripts") && at->is_directory(ignored)) {
      folders.push_back(at->path().string());
    }
  }
  if (failed && failed.value() != ENOENT) return errno_error("reading " + state, failed.value());
  std::ranges::sort(folders);
  if (!folders.empty()) return folders;
  return error(error_code::not_found,
               "there are no transcripts in " + state +
                   ": name the state folder of an `up` with --state-dir, or the folder that a "
                   "gateway's configuration names with --directory");
}

/// None: it is no regular file any more.
std::optional<transcript_file> look_at(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return transcript_file{fs::path(path).stem().string(), path, status.st_size,
                         status.st_mtim.tv_sec * 1'000};
}

}  // namespace

result<std::vector<transcript_file>> find_transcripts(const session& with,
                                                      const std::vector<std::string>& folders) {
  auto places = folders;
  if (places.empty()) {
    GERMLINE_TRY_ASSIGN(places, folders_of_up(with));
  }
  std::vector<transcript_file> all;
  for (const auto& place : places) {
    std::error_code failed;
    for (fs::directory_iterator at(place, failed), end; !failed && at != end;
         at.increment(failed)) {
      if (at->path().extension() != extension) continue;
      if (auto found = look_at(at->path().string())) all.push_back(std::move(*found));
    }
    if (failed) return errno_error("reading " + place, failed.value());
  }
  std::ranges::sort(all, {}, [](const auto& one) { return std::pair(one.attempt_id, one.path); });
  return all;
}

result<transcript_file> find_transcript(const session& with,
                                        const std::vector<std::string>& folders,
                                        const std::string& name) {
  if (name.find('/') != std::string::npos || name.ends_with(extension)) {
    if (auto file = look_at(name)) return std::move(*file);
    return error(error_code::not_found, "there is no file " + name);
  }
  GERMLINE_TRY_ASSIGN(const auto all, find_transcripts(with, folders));
  std::vector<transcript_file> found;
  for (const auto& one : all) {
    if (one.attempt_id == name) return one;
    if (one.attempt_id.starts_with(name)) found.push_back(one);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return error(error_code::not_found, "no transcript here is of an attempt " + name +
                                            "; `germline transcript list` has those that are");
  }
  std::string names;
  for (std::size_t i = 0; i < found.size() && i < most_named; ++i) {
    names += (i > 0 ? ", " : "") + found[i].attempt_id;
  }
  if (found.size() > most_named) names += ", …";
  return error(error_code::invalid_argument,
               name + " is the beginning of " + std::to_string(found.size()) + ": " + names);
}

}  // namespace germline::cli
