#include "common/spool.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/assert.hpp"

namespace germline {

result<spool> spool::make(const std::string& directory) {
  std::string name = directory + "/.spool-XXXXXX";
  spool made;
  made.file_.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!made.file_) return errno_error("making a file in " + directory, errno);
  if (::unlink(name.c_str()) != 0) return errno_error("unlinking " + name, errno);
  return made;
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
  while (!bytes.empty()) {
    const auto wrote = ::write(file_.get(), bytes.data(), bytes.size());
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return errno_error("writing to a spool file", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    size_ += wrote;
  }
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

}  // namespace germline
