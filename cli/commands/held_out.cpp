#include "cli/commands/held_out.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "common/artefact/held_out.hpp"
#include "common/artefact/tar.hpp"
#include "common/git/object_limits.hpp"
#include "common/git/pack_view.hpp"
#include "common/git/pack_writer.hpp"
#include "common/log.hpp"
#include "common/unique_fd.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

constexpr const auto& most = artefact::held_out_limits;

struct held_file {
  std::string path;  // in the folder
  bool executable = false;
  std::string bytes;
};

error refused(const std::string& why) {
  return {error_code::invalid_argument, "--held-out: " + printable(why)};
}
error unreadable(const fs::path& path, int number) {
  return refused(path.string() + " cannot be read: " + std::generic_category().message(number));
}

/// Whether what was opened is a plain file, whose bytes are then read. At most `left` of them.
result<held_file> read_file(const fs::path& path, std::int64_t left) {
  const unique_fd opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!opened) return unreadable(path, errno);
  struct stat about {};
  if (::fstat(opened.get(), &about) != 0) return unreadable(path, errno);
  if (!S_ISREG(about.st_mode)) return refused(path.string() + " is no plain file");
  held_file file;
  file.executable = (about.st_mode & S_IXUSR) != 0;
  const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(about.st_size, left) + 1);
  file.bytes.resize(wanted);
  std::size_t have = 0;
  while (have < wanted) {
    const auto got = ::read(opened.get(), file.bytes.data() + have, wanted - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(path, errno);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  file.bytes.resize(have);
  return file;
}

/// A file that was taken out of the branch is in its history still, and agents have that.
result<void> check_not_in_history(const held_file& file, const git::pack_view& seed) {
  constexpr std::size_t says_nothing = 32;  // bytes that any repository may have by chance
  if (file.bytes.size() < says_nothing) return {};
  const auto id = git::hash_object(git::object_type::blob, file.bytes);
  if (seed.find(id) == nullptr) return {};
  return refused("the content of '" + file.path + "' is in the repository or its history (git's " +
                 id.hex() +
                 "), which agents have whole: hold other content out, or run a "
                 "repository whose history never had it");
}

}  // namespace

result<std::string> read_held_out(const std::string& folder, std::string_view seed_pack) {
  GERMLINE_TRY_ASSIGN(const auto seed, git::pack_view::open(seed_pack, git::history_limits));
  std::error_code failed;
  const auto root = fs::canonical(folder, failed);
  if (failed) return refused("there is no folder '" + folder + "': " + failed.message());
  if (!fs::is_directory(root, failed)) return refused("'" + folder + "' is no folder");
  std::vector<held_file> files;
  std::int64_t bytes = 0;
  fs::recursive_directory_iterator at(root, failed);
  for (const fs::recursive_directory_iterator end; !failed && at != end; at.increment(failed)) {
    const auto status = at->symlink_status();
    if (fs::is_directory(status)) continue;
    if (!fs::is_regular_file(status)) {
      return refused(at->path().string() + " is " +
                     (fs::is_symlink(status) ? "a symbolic link" : "no plain file") +
                     ": put plain files and folders there alone");
    }
    if (static_cast<std::int64_t>(files.size()) == most.files) {
      return refused("'" + folder + "' has more than " + std::to_string(most.files) +
                     " files; put several into one, such as a tar or JSON Lines");
    }
    GERMLINE_TRY_ASSIGN(auto file, read_file(at->path(), most.total_bytes - bytes));
    file.path = at->path().lexically_relative(root).string();
    bytes += static_cast<std::int64_t>(file.bytes.size());
    if (bytes > most.total_bytes) {
      return refused("'" + folder + "' has more than " + std::to_string(most.total_bytes >> 20) +
                     " MiB, with " + at->path().string() + "; hold out fewer or smaller files");
    }
    GERMLINE_TRY(check_not_in_history(file, seed));
    files.push_back(std::move(file));
  }
  if (failed) return refused("'" + folder + "' cannot be read: " + failed.message());
  if (files.empty()) return refused("'" + folder + "' has no files");
  std::ranges::sort(files, {}, &held_file::path);
  std::vector<artefact::file> views;
  for (const auto& each : files) views.push_back({each.path, each.executable, each.bytes});
  if (const auto sound = artefact::check_files(views, most); !sound) {
    return refused(sound.error().message());
  }
  std::string tar;
  GERMLINE_TRY(artefact::write_tar(views, [&](std::string_view piece) -> result<void> {
    tar += piece;
    return {};
  }));
  return tar;
}

}  // namespace germline::cli
