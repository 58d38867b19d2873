// spool: bytes of a transfer on their way in or out, in a file without a name, so that what is
// large waits on the disk and not in a process's memory. The file is gone when its owner is,
// however that ends. Movable; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "common/unique_fd.hpp"

namespace germline {

class spool {
 public:
  /// Empty, and without a file: nothing can be appended.
  spool() = default;
  /// `directory` is on the disk that shall hold the bytes, and this process may write in it.
  static result<spool> make(const std::string& directory);
  /// What is in a file, which may lose its name meanwhile: for reading alone.
  static result<spool> open(const std::string& path);
  spool(spool&& other) noexcept;
  spool& operator=(spool&& other) noexcept;
  ~spool();

  /// All of it or an error (resource_exhausted where the disk is full), after which the spool is
  /// of no use. Views that were taken before no longer hold.
  result<void> append(std::string_view bytes);
  /// Takes all of it away again; views no longer hold.
  result<void> clear();
  std::int64_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  /// What was appended so far, read from the disk as it is looked at. Valid until the next append
  /// and as long as this object; moving the object does not hurt.
  result<std::string_view> view();
  /// Writes all of it to a file, in place of what was there. Nothing stays of one that fails.
  result<void> save(const std::string& path);

 private:
  void unmap() noexcept;

  unique_fd file_;
  std::int64_t size_ = 0;
  std::string_view mapped_;
};

}  // namespace germline
