// trust: the keys that a ca.crt believes at present, for connections that were made under an
// earlier one: TLS looks at a certificate once, when a connection begins. Reads the file again when
// it has changed. Not a verifier: who signed what was found out by TLS. Any thread; blocks on the
// disk.
#pragma once

#include <sys/stat.h>

#include <mutex>
#include <set>
#include <string>

#include "common/result.hpp"

namespace germline::pki {

class trust {
 public:
  /// `path` is of a bundle in PEM.
  explicit trust(std::string path);

  enum class standing {
    believed,
    given_up,  // it was in the file, and is not any more
    unknown,   // it never was: of an authority in between, or of none
  };
  /// `key_id` as certificate_facts have it. An unreadable file is an error.
  result<standing> of(const std::string& key_id);

 private:
  result<void> refresh();

  const std::string path_;
  std::mutex mutex_;
  struct stat read_ {};  // of the file as it was when it was read
  std::set<std::string> believed_;
  std::set<std::string> ever_;
};

}  // namespace germline::pki
