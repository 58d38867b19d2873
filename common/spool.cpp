#include "common/spool.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/assert.hpp"

namespace germline {
namespace {

result<void> write_all(int file, std::string_view bytes, const std::string& doing) {
  while (!bytes.empty()) {
    const auto wrote = ::write(file, bytes.data(), bytes.size());
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return errno_error(doing, errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

}  // namespace

result<spool> spool::make(const std::string& directory) {
  std::string name = directory + "/.spool-XXXXXX";
  spool made;
  made.file_.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!made.file_) return errno_error("making a file in " + directory, errno);
  if (::unlink(name.c_str()) != 0) return errno_error("unlinking " + name, errno);
  return made;
}

result<spool> spool::open(const std::string& path) {
  spool opened;
  opened.file_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.file_) return errno_error("opening " + path, errno);
  struct stat known = {};
  if (::fstat(opened.file_.get(), &known) != 0) return errno_error("reading " + path, errno);
  opened.size_ = known.st_size;
  return opened;
}

spool::spool(spool&& other) noexcept
    : file_(std::move(other.file_)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, {})) {}

spool& spool::operator=(spool&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

spool::~spool() {
  unmap();
}

void spool::unmap() noexcept {
  if (mapped_.empty()) return;
  ::munmap(const_cast<char*>(mapped_.data()), mapped_.size());
  mapped_ = {};
}

result<void> spool::append(std::string_view bytes) {
  GERMLINE_ASSERT(file_);
  unmap();
  GERMLINE_TRY(write_all(file_.get(), bytes, "writing to a spool file"));
  size_ += static_cast<std::int64_t>(bytes.size());
  return {};
}

result<void> spool::clear() {
  unmap();
  if (size_ == 0) return {};
  if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0) {
    return errno_error("emptying a spool file", errno);
  }
  size_ = 0;
  return {};
}

result<std::string_view> spool::view() {
  if (size_ == 0 || !mapped_.empty()) return mapped_;
  const auto length = static_cast<std::size_t>(size_);
  void* at = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file_.get(), 0);
  if (at == MAP_FAILED) return errno_error("mapping a spool file", errno);
  mapped_ = {static_cast<const char*>(at), length};
  return mapped_;
}

result<void> spool::save(const std::string& path) {
  GERMLINE_TRY_ASSIGN(const auto bytes, view());
  const unique_fd to(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!to) return errno_error("creating " + path, errno);
  auto written = write_all(to.get(), bytes, "writing " + path);
  if (!written) ::unlink(path.c_str());
  return written;
}

}  // namespace germline
