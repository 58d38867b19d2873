#include "common/artefact/layer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <unordered_map>

#include "common/artefact/clean_path.hpp"
#include "common/artefact/tar_contents.hpp"
#include "common/hash.hpp"
#include "common/unique_fd.hpp"

namespace germline::artefact {
namespace {

namespace fs = std::filesystem;

using reader_ptr = std::unique_ptr<archive, decltype(&archive_read_free)>;

constexpr std::size_t target_bytes_max = 1'024;

error refuse(std::string_view path, const std::string& why) {
  return error(error_code::invalid_argument, "'" + std::string(path.substr(0, 200)) + "' " + why);
}

result<layer_entry> read_entry(archive* reader, archive_entry* entry, std::string path,
                               std::string_view tar, std::int64_t budget) {
  if (!is_clean_path(path)) return refuse(path, "is not a clean relative path");
  if (archive_entry_hardlink(entry) != nullptr) return refuse(path, "is a hard link");
  if (archive_entry_sparse_count(entry) > 0) return refuse(path, "is sparse");
  layer_entry read;
  read.path = std::move(path);
  switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
      read.kind = layer_kind::folder;
      return read;
    case AE_IFLNK: {
      read.kind = layer_kind::link;
      const char* target = archive_entry_symlink(entry);
      read.target = target == nullptr ? "" : target;
      GERMLINE_TRY(check_link(read.path, read.target));
      return read;
    }
    case AE_IFREG:
      break;
    default:
      return refuse(read.path, "is neither a file, nor a folder, nor a symbolic link");
  }
  read.executable = (archive_entry_perm(entry) & 0111) != 0;
  GERMLINE_TRY_ASSIGN(read.bytes,
                      find_contents(reader, tar, read.path, archive_entry_size(entry), budget));
  return read;
}

/// None twice, and nothing beneath what is no folder. REQUIRES them in order.
result<void> check_all(const std::vector<layer_entry>& entries) {
  std::unordered_map<std::string_view, layer_kind> kinds;
  for (const auto& one : entries) {
    if (!kinds.emplace(one.path, one.kind).second) return refuse(one.path, "stands there twice");
  }
  for (const auto& one : entries) {
    const std::string_view path = one.path;
    for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      const auto above = kinds.find(path.substr(0, slash));
      if (above != kinds.end() && above->second != layer_kind::folder) {
        return refuse(path, "lies beneath what is no folder");
      }
    }
  }
  return {};
}

result<void> write_file(const std::string& path, const layer_entry& one) {
  const mode_t mode = one.executable ? 0555 : 0444;
  const unique_fd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) return errno_error("creating " + path, errno);
  auto left = one.bytes;
  while (!left.empty()) {
    const auto wrote = ::write(fd.get(), left.data(), left.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_error("writing " + path, errno);
    left.remove_prefix(static_cast<std::size_t>(wrote));
  }
  // The umask must not decide who can run it.
  if (::fchmod(fd.get(), mode) != 0) return errno_error("chmod of " + path, errno);
  return {};
}

result<void> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return errno_error("making " + path, errno);
  }
  if (::chmod(path.c_str(), 0755) != 0) return errno_error("chmod of " + path, errno);
  return {};
}

/// One thing beneath a root, as it lies there now.
struct found_entry {
  std::string path;
  struct stat info = {};
};

result<std::vector<found_entry>> walk(const std::string& root) {
  std::vector<found_entry> all;
  std::error_code failed;
  for (fs::recursive_directory_iterator at(root, failed), end; !failed && at != end;
       at.increment(failed)) {
    found_entry one;
    one.path = at->path().string().substr(root.size() + 1);
    if (::lstat(at->path().c_str(), &one.info) != 0) {
      return errno_error("reading " + at->path().string(), errno);
    }
    all.push_back(std::move(one));
  }
  if (failed) return errno_error("reading " + root, failed.value());
  std::ranges::sort(all, {}, &found_entry::path);
  return all;
}

/// So that no two lists of words give the same bytes.
void add(sha256& into, std::string_view word) {
  into.update(std::to_string(word.size()) + ":");
  into.update(word);
}

result<void> add_contents(sha256& into, const std::string& path) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno_error("opening " + path, errno);
  std::vector<char> bytes(1 << 18);
  for (;;) {
    const auto got = ::read(fd.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("reading " + path, errno);
    if (got == 0) return {};
    into.update({bytes.data(), static_cast<std::size_t>(got)});
  }
}

}  // namespace

result<void> check_link(std::string_view path, std::string_view target) {
  if (target.empty() || target.size() > target_bytes_max || target.find('\0') != target.npos) {
    return refuse(path, "is a link to nothing that has a name");
  }
  const auto leads_out = [&] {
    return refuse(path, "is a link to '" + std::string(target.substr(0, 200)) +
                            "'; a link is relative and stays inside");
  };
  if (target.starts_with('/')) return leads_out();
  auto above = std::ranges::count(path, '/');  // folders that one can go up
  bool named = false;
  for (auto rest = target; !rest.empty();) {
    const auto part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      named = true;
    } else if (named || --above < 0) {  // a name may be a link: where `..` leads then is not known
      return leads_out();
    }
  }
  return {};
}

result<std::vector<layer_entry>> read_layer(std::string_view tar, const layer_limits& bounds) {
  const reader_ptr reader(archive_read_new(), &archive_read_free);
  archive_read_support_format_tar(reader.get());  // and no compression: nothing here inflates
  if (archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK) {
    return error(error_code::invalid_argument, "no tar stream: " + said_by(reader.get()));
  }
  std::vector<layer_entry> entries;
  auto budget = bounds.total_bytes;
  for (;;) {
    archive_entry* entry = nullptr;
    const auto status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) {
      return error(error_code::invalid_argument,
                   "the tar stream is damaged: " + said_by(reader.get()));
    }
    auto path = normal_tar_path(archive_entry_pathname(entry));
    const bool is_root = path.empty() || path == ".";
    if (is_root && archive_entry_filetype(entry) == AE_IFDIR) continue;
    if (static_cast<std::int64_t>(entries.size()) >= bounds.entries) {
      return error(
          error_code::resource_exhausted,
          "there are more than " + std::to_string(bounds.entries) + " files, folders and links");
    }
    GERMLINE_TRY_ASSIGN(auto read, read_entry(reader.get(), entry, std::move(path), tar, budget));
    budget -= static_cast<std::int64_t>(read.bytes.size());
    entries.push_back(std::move(read));
  }
  std::ranges::sort(entries, {}, &layer_entry::path);
  GERMLINE_TRY(check_all(entries));
  return entries;
}

result<void> write_layer(const std::string& root, const std::vector<layer_entry>& entries) {
  for (const auto& one : entries) {
    const auto path = root + "/" + one.path;
    // tar names a folder before what is in it, but need not name it at all.
    for (auto slash = one.path.find('/'); slash != std::string::npos;
         slash = one.path.find('/', slash + 1)) {
      const auto above = root + "/" + one.path.substr(0, slash);
      if (::mkdir(above.c_str(), 0755) == 0) {
        GERMLINE_TRY(make_folder(above));
      } else if (errno != EEXIST) {
        return errno_error("making " + above, errno);
      }
    }
    switch (one.kind) {
      case layer_kind::folder:
        GERMLINE_TRY(make_folder(path));
        break;
      case layer_kind::link:
        if (::symlink(one.target.c_str(), path.c_str()) != 0) {
          return errno_error("linking " + path, errno);
        }
        break;
      case layer_kind::file:
        GERMLINE_TRY(write_file(path, one));
        break;
    }
  }
  return {};
}

result<layer_digest> digest_layer(const std::string& root) {
  GERMLINE_TRY_ASSIGN(const auto all, walk(root));
  layer_digest digest;
  sha256 sum;
  for (const auto& one : all) {
    const auto path = root + "/" + one.path;
    add(sum, one.path);
    if (S_ISDIR(one.info.st_mode)) {
      add(sum, "folder");
    } else if (S_ISLNK(one.info.st_mode)) {
      std::error_code failed;
      add(sum, "link");
      add(sum, fs::read_symlink(path, failed).string());
      if (failed) return errno_error("reading " + path, failed.value());
    } else if (S_ISREG(one.info.st_mode)) {
      add(sum, "file");
      add(sum, std::to_string(one.info.st_mode & 07777));
      add(sum, std::to_string(one.info.st_size));
      GERMLINE_TRY(add_contents(sum, path));
      digest.bytes += one.info.st_size;
    } else {
      return error(error_code::data_loss, path + " is neither a file, nor a folder, nor a link");
    }
    ++digest.entries;
  }
  digest.sha256 = sum.finish_hex();
  return digest;
}

result<std::string> fingerprint_layer(const std::string& root) {
  GERMLINE_TRY_ASSIGN(const auto all, walk(root));
  sha256 sum;
  for (const auto& one : all) {
    add(sum, one.path);
    const auto& info = one.info;
    for (const auto number :
         {static_cast<std::int64_t>(info.st_mode), static_cast<std::int64_t>(info.st_size),
          static_cast<std::int64_t>(info.st_ino), static_cast<std::int64_t>(info.st_ctim.tv_sec),
          static_cast<std::int64_t>(info.st_ctim.tv_nsec)}) {
      add(sum, std::to_string(number));
    }
  }
  return sum.finish_hex();
}

}  // namespace germline::artefact
