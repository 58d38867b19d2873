#include "common/pki/credentials.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/clock.hpp"
#include "common/unique_fd.hpp"

namespace germline::pki {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_file_bytes = 1 << 20;
constexpr mode_t public_mode = 0644;
constexpr mode_t secret_mode = 0600;

/// Root writes for others: for the account whose folder it is.
result<void> give_to_owner_of(const std::string& above, int file, const std::string& path) {
  struct stat parent {};
  if (::geteuid() != 0 || ::stat(above.c_str(), &parent) != 0 || parent.st_uid == 0) return {};
  if (::fchown(file, parent.st_uid, parent.st_gid) != 0)
    return errno_error("chown of " + path, errno);
  return {};
}

result<void> sync_folder(const std::string& path) {
  const unique_fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return errno_error("syncing " + path, errno);
  return {};
}

}  // namespace

result<std::string> read_file(const std::string& path) {
  const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error("reading " + path, errno);
  std::string text(max_file_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0) return errno_error("reading " + path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_file_bytes) {
    return error(error_code::resource_exhausted, path + " is larger than 1 MiB");
  }
  text.resize(size);
  return text;
}

result<void> write_file(const std::string& path, std::string_view bytes, unsigned int mode) {
  const auto folder = fs::path(path).parent_path().string();
  const std::string aside = path + ".new";
  ::unlink(aside.c_str());
  const unique_fd file(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file) return errno_error("writing " + aside, errno);
  GERMLINE_TRY(give_to_owner_of(folder, file.get(), aside));
  for (std::size_t at = 0; at < bytes.size();) {
    const auto wrote = ::write(file.get(), bytes.data() + at, bytes.size() - at);
    if (wrote < 0) return errno_error("writing " + aside, errno);
    at += static_cast<std::size_t>(wrote);
  }
  if (::fsync(file.get()) != 0) return errno_error("syncing " + aside, errno);
  if (::rename(aside.c_str(), path.c_str()) != 0) return errno_error("moving " + aside, errno);
  return sync_folder(folder);
}

result<void> make_private_folder(const std::string& path) {
  std::error_code failed;
  if (fs::is_directory(path, failed)) return {};
  const auto above = fs::path(path).parent_path().string();
  if (!above.empty() && !fs::exists(above, failed)) GERMLINE_TRY(make_private_folder(above));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error("making " + path, errno);
  }
  const unique_fd made(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!made) return errno_error("opening " + path, errno);
  return give_to_owner_of(above.empty() ? "." : above, made.get(), path);
}

result<read_credentials_result> read_credentials(const std::string& folder) {
  const credential_paths paths(folder);
  read_credentials_result out;
  const auto within = [&](const error& failure) {
    return failure.within("the credentials in " + folder +
                          " (ca.crt, tls.crt and tls.key are needed)");
  };
  for (const auto& [path, text] : {std::pair{&paths.ca, &out.files.ca_pem},
                                   std::pair{&paths.certificate, &out.files.certificate_pem},
                                   std::pair{&paths.key, &out.files.key_pem}}) {
    auto read = read_file(*path);
    if (!read) return within(read.error());
    *text = std::move(*read);
  }
  if (const auto ca = fingerprint(out.files.ca_pem); !ca) {
    return within(ca.error().within(paths.ca));
  }
  auto facts = read_certificate(out.files.certificate_pem);
  if (!facts) return within(facts.error().within(paths.certificate));
  const auto key = private_key::from_pem(out.files.key_pem);
  if (!key) return within(key.error().within(paths.key));
  if (const auto fits = check_is_of(out.files.certificate_pem, *key); !fits) {
    return within(fits.error());
  }
  out.facts = std::move(*facts);
  return out;
}

result<void> write_credentials(const std::string& folder, const credentials& files) {
  const credential_paths paths(folder);
  GERMLINE_TRY(make_private_folder(folder));
  GERMLINE_TRY(write_file(paths.ca, files.ca_pem, public_mode));
  GERMLINE_TRY(write_file(paths.certificate, files.certificate_pem, public_mode));
  return write_file(paths.key, files.key_pem, secret_mode);
}

result<void> check_dates(const certificate_facts& facts, std::int64_t now_ms) {
  const auto dates = "the certificate of " + facts.whose.name + " holds from " +
                     to_iso8601(facts.not_before_ms) + " to " + to_iso8601(facts.not_after_ms);
  if (now_ms < facts.not_before_ms) {
    return error(error_code::failed_precondition,
                 dates + ", and it is not yet that here: look at this machine's clock");
  }
  if (now_ms > facts.not_after_ms) {
    return error(error_code::failed_precondition, dates + ": it is over");
  }
  return {};
}

}  // namespace germline::pki
