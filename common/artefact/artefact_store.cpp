#include "common/artefact/artefact_store.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "common/clock.hpp"
#include "common/hash.hpp"
#include "common/unique_fd.hpp"

namespace germline::artefact {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view unfinished = ".incoming-";
constexpr std::int64_t unfinished_age_s = 3'600;

bool is_artefact_id(std::string_view id) {
  return id.size() == 64 && std::ranges::all_of(id, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

result<void> sync_directory(const std::string& path) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno_error("opening " + path, errno);
  if (::fsync(fd.get()) != 0) return errno_error("syncing " + path, errno);
  return {};
}

result<void> write_file(const std::string& path, const file& one) {
  const mode_t mode = one.executable ? 0555 : 0444;
  const unique_fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return errno_error("creating " + path, errno);
  std::size_t done = 0;
  while (done < one.bytes.size()) {
    const auto wrote = ::write(fd.get(), one.bytes.data() + done, one.bytes.size() - done);
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return errno_error("writing " + path, errno);
    }
    done += static_cast<std::size_t>(wrote);
  }
  // The umask must not decide who can run it.
  if (::fchmod(fd.get(), mode) != 0) return errno_error("chmod of " + path, errno);
  if (::fsync(fd.get()) != 0) return errno_error("syncing " + path, errno);
  return {};
}

result<void> write_tree(const std::string& root, const std::vector<file>& files) {
  std::error_code failed;
  fs::create_directories(root, failed);
  if (failed) return errno_error("making " + root, failed.value());
  for (const auto& one : files) {
    const auto path = fs::path(root) / one.path;
    fs::create_directories(path.parent_path(), failed);
    if (failed) return errno_error("making " + path.parent_path().string(), failed.value());
    GERMLINE_TRY(write_file(path.string(), one));
  }
  // The umask must not decide who can look inside.
  for (const auto& entry : fs::recursive_directory_iterator(root, failed)) {
    if (!entry.is_directory()) continue;
    fs::permissions(entry.path(), fs::perms(0755), failed);
    GERMLINE_TRY(sync_directory(entry.path().string()));
  }
  fs::permissions(root, fs::perms(0755), failed);
  return sync_directory(root);
}

result<std::string> read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  if (!in) return error(error_code::data_loss, "reading " + path.string() + " failed");
  return bytes.str();
}

/// A file's bytes, read from the disk as they are looked at.
class mapped_file {
 public:
  static result<mapped_file> open(const std::string& path) {
    const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return errno_error("opening " + path, errno);
    if (info.st_size == 0) return mapped_file();
    const auto length = static_cast<std::size_t>(info.st_size);
    void* at = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return errno_error("mapping " + path, errno);
    return mapped_file({static_cast<const char*>(at), length});
  }
  mapped_file(mapped_file&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  mapped_file& operator=(mapped_file&&) = delete;
  ~mapped_file() {
    if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  mapped_file() = default;
  explicit mapped_file(std::string_view bytes) : bytes_(bytes) {}
  std::string_view bytes_;
};

bool is_older(const fs::path& path, std::int64_t seconds) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return false;
  const auto now_s = system_clock_source().utc_ms() / 1'000;
  return now_s - info.st_mtim.tv_sec > seconds;
}

}  // namespace

result<artefact_store> artefact_store::open(const std::string& root, const limits& bounds) {
  std::error_code failed;
  fs::create_directories(root, failed);
  if (failed) return errno_error("making " + root, failed.value());
  return artefact_store(root, bounds);
}

bool artefact_store::contains(const std::string& id) const {
  std::error_code failed;
  return is_artefact_id(id) && fs::is_directory(root_ + "/" + id, failed);
}

result<std::string> artefact_store::tree_path(const std::string& id) const {
  if (!contains(id)) return error(error_code::not_found, "no artefact '" + id + "' is stored");
  return root_ + "/" + id + "/tree";
}

result<std::string> artefact_store::put(const std::vector<file>& files) {
  GERMLINE_TRY_ASSIGN(const auto sealed, seal_files(files));
  return put(files, sealed);
}

result<std::string> artefact_store::put(const std::vector<file>& files, const manifest& sealed) {
  const auto id = artefact_id(sealed);
  if (contains(id)) {
    touch(id);
    return id;
  }
  std::string made = root_ + "/" + std::string(unfinished) + "XXXXXX";
  if (::mkdtemp(made.data()) == nullptr) return errno_error("making " + made, errno);
  const auto written = [&]() -> result<void> {
    GERMLINE_TRY(write_tree(made + "/tree", files));
    const auto text = to_json(sealed);
    GERMLINE_TRY(write_file(made + "/manifest.json", {"manifest.json", false, text}));
    if (::chmod(made.c_str(), 0755) != 0) return errno_error("chmod of " + made, errno);
    return sync_directory(made);
  }();
  std::error_code ignored;
  if (!written) {
    fs::remove_all(made, ignored);
    return written.error().within("storing artefact " + id);
  }
  const auto place = root_ + "/" + id;
  if (::rename(made.c_str(), place.c_str()) != 0) {
    const auto why = errno;
    fs::remove_all(made, ignored);
    // Another thread or process stored the same content first.
    if (why == EEXIST || why == ENOTEMPTY) return id;
    return errno_error("renaming to " + place, why);
  }
  GERMLINE_TRY(sync_directory(root_));
  return id;
}

result<manifest> artefact_store::read_manifest(const std::string& id) const {
  if (!contains(id)) return error(error_code::not_found, "no artefact '" + id + "' is stored");
  GERMLINE_TRY_ASSIGN(const auto text, read_bytes(root_ + "/" + id + "/manifest.json"));
  GERMLINE_TRY_ASSIGN(auto sealed, parse_manifest(text, bounds_));
  if (artefact_id(sealed) != id) {
    return error(error_code::data_loss, "the manifest of artefact " + id + " is not what it names");
  }
  return sealed;
}

result<void> artefact_store::write_tar(const std::string& id, byte_sink into) const {
  GERMLINE_TRY_ASSIGN(const auto sealed, read_manifest(id));
  GERMLINE_TRY_ASSIGN(const auto tree, tree_path(id));
  GERMLINE_TRY_ASSIGN(auto writer, tar_writer::open(std::move(into)));
  for (const auto& entry : sealed.files) {
    GERMLINE_TRY_ASSIGN(const auto mapped, mapped_file::open(tree + "/" + entry.path));
    if (sha256_hex(mapped.bytes()) != entry.sha256) {
      return error(error_code::data_loss,
                   "'" + entry.path + "' of artefact " + id + " is not what its hash names");
    }
    GERMLINE_TRY(writer.add({entry.path, entry.executable, mapped.bytes()}));
  }
  return writer.finish();
}

result<void> artefact_store::remove(const std::string& id) {
  if (!contains(id)) return error(error_code::not_found, "no artefact '" + id + "' is stored");
  std::error_code failed;
  // Out of sight first, so that a crash leaves no half of it under its name.
  std::string aside = root_ + "/" + std::string(unfinished) + "XXXXXX";
  if (::mkdtemp(aside.data()) == nullptr) return errno_error("making " + aside, errno);
  fs::rename(root_ + "/" + id, aside + "/" + id, failed);
  if (failed) return errno_error("moving artefact " + id, failed.value());
  fs::remove_all(aside, failed);
  if (failed) return errno_error("removing artefact " + id, failed.value());
  return {};
}

result<std::vector<std::string>> artefact_store::list() const {
  std::vector<std::string> ids;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root_, failed)) {
    const auto name = entry.path().filename().string();
    if (is_artefact_id(name)) ids.push_back(name);
  }
  if (failed) return errno_error("listing " + root_, failed.value());
  std::ranges::sort(ids);
  return ids;
}

std::vector<artefact_store::stored> artefact_store::list_by_use() const {
  std::vector<std::pair<fs::file_time_type, stored>> found;
  if (const auto ids = list()) {
    for (const auto& id : *ids) {
      std::error_code failed;
      const auto used = fs::last_write_time(root_ + "/" + id, failed);
      const auto sealed = read_manifest(id);
      if (failed || !sealed) continue;
      found.push_back({used, {id, sealed->total_bytes()}});
    }
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<stored> out;
  for (auto& [used, each] : found) out.push_back(std::move(each));
  return out;
}

void artefact_store::touch(const std::string& id) {
  if (contains(id)) ::utimensat(AT_FDCWD, (root_ + "/" + id).c_str(), nullptr, 0);
}

result<std::size_t> artefact_store::remove_unwanted(std::vector<std::string> wanted,
                                                    std::int64_t idle_s) {
  std::ranges::sort(wanted);
  GERMLINE_TRY_ASSIGN(const auto ids, list());
  std::size_t gone = 0;
  for (const auto& id : ids) {
    if (std::ranges::binary_search(wanted, id) || !is_older(root_ + "/" + id, idle_s)) continue;
    GERMLINE_TRY(remove(id));
    ++gone;
  }
  return gone;
}

result<void> artefact_store::clear_unfinished() {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(root_, failed)) {
    if (!entry.path().filename().string().starts_with(unfinished) ||
        !is_older(entry.path(), unfinished_age_s)) {
      continue;
    }
    fs::remove_all(entry.path(), failed);
    if (failed) return errno_error("removing " + entry.path().string(), failed.value());
  }
  if (failed) return errno_error("listing " + root_, failed.value());
  return {};
}

result<manifest> artefact_store::seal_files(const std::vector<file>& files) const {
  return seal(files, bounds_);
}

}  // namespace germline::artefact
