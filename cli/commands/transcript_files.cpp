#include "cli/commands/transcript_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/unique_fd.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view extension = ".jsonl";
constexpr std::size_t most_named = 8;

/// `transcripts` of the first worker, `transcripts-2` of the second.
bool is_folder_of_up(std::string_view name) {
  constexpr std::string_view first = "transcripts";
  if (name == first) return true;
  if (!name.starts_with(first) || name.size() < first.size() + 2) return false;
  const auto number = name.substr(first.size());
  return number[0] == '-' && number[1] != '0' &&
         number.find_first_not_of("0123456789", 1) == number.npos;
}

result<std::vector<std::string>> folders_of_up(const session& with) {
  const auto& state = with.settings.get("state_dir");
  std::vector<std::string> folders;
  std::error_code failed;
  for (fs::directory_iterator at(state, failed), end; !failed && at != end; at.increment(failed)) {
    const auto name = at->path().filename().string();
    std::error_code ignored;
    if (is_folder_of_up(name) && at->is_directory(ignored)) {
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
                         status.st_mtim.tv_sec * 1'000 + status.st_mtim.tv_nsec / 1'000'000};
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

bool is_gateways(const transcript_file& file) {
  constexpr std::string_view begin = "att_";
  return file.attempt_id.starts_with(begin) && file.attempt_id.size() > begin.size();
}

result<bool> remove_unused(const transcript_file& file, std::int64_t before_utc_ms,
                           bool only_looks) {
  const unique_fd held(::open(file.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!held) {
    if (errno == ENOENT || errno == ELOOP) return false;
    return errno_error("opening " + file.path, errno);
  }
  if (::flock(held.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    return errno_error("locking " + file.path, errno);
  }
  struct stat now {};
  if (::fstat(held.get(), &now) != 0) return errno_error("looking at " + file.path, errno);
  const auto written_utc_ms =
      std::int64_t{now.st_mtim.tv_sec} * 1'000 + now.st_mtim.tv_nsec / 1'000'000;
  if (!S_ISREG(now.st_mode) || written_utc_ms >= before_utc_ms) return false;
  if (!only_looks && ::unlink(file.path.c_str()) != 0) {
    return errno_error("removing " + file.path, errno);
  }
  return true;
}

}  // namespace germline::cli
