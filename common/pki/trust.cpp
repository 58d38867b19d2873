#include "common/pki/trust.hpp"

#include <cerrno>

#include "common/pki/certificate.hpp"
#include "common/pki/credentials.hpp"

namespace germline::pki {
namespace {

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

}  // namespace

trust::trust(std::string path) : path_(std::move(path)) {
  // What cannot be read is told to who asks.
  static_cast<void>(refresh());
}

result<void> trust::refresh() {
  // Looked at before it is read: a change in between is seen the next time.
  struct stat found {};
  if (::stat(path_.c_str(), &found) != 0) return errno_error("reading " + path_, errno);
  if (is_same(found, read_)) return {};
  GERMLINE_TRY_ASSIGN(const std::string bundle, read_file(path_));
  auto keys = key_ids_of(bundle);
  if (!keys) return keys.error().within(path_);
  believed_ = std::move(*keys);
  ever_.insert(believed_.begin(), believed_.end());
  read_ = found;
  return {};
}

result<trust::standing> trust::of(const std::string& key_id) {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  if (believed_.contains(key_id)) return standing::believed;
  return ever_.contains(key_id) ? standing::given_up : standing::unknown;
}

}  // namespace germline::pki
