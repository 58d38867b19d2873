// credentials: what one party shows and believes over TLS, as three files in a folder, named as
// Kubernetes and cert-manager name them: ca.crt (whom to believe, one certificate or more), tls.crt
// (its own, with what stands between it and an authority) and tls.key. Any thread; blocks on the
// disk.
#pragma once

#include <string>
#include <string_view>

#include "common/pki/certificate.hpp"
#include "common/result.hpp"

namespace germline::pki {

struct credentials {
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
};

struct credential_paths {
  explicit credential_paths(const std::string& folder)
      : ca(folder + "/ca.crt"), certificate(folder + "/tls.crt"), key(folder + "/tls.key") {}
  std::string ca, certificate, key;
};

/// What was read, and whose it is.
struct read_credentials_result {
  credentials files;
  certificate_facts facts;
};

/// Refuses a folder that lacks a file, and a key that is not the certificate's. Does not look at
/// the time.
result<read_credentials_result> read_credentials(const std::string& folder);

/// Makes the folder (0700) where it is not there. The key is written last, and alone is secret.
result<void> write_credentials(const std::string& folder, const credentials& files);

/// Replaces one file whole, durably, with the owner of the folder that it is in.
result<void> write_file(const std::string& path, std::string_view bytes, unsigned int mode);

/// Makes a folder, 0700, and what is missing above it, with the owner of what is above.
result<void> make_private_folder(const std::string& path);

/// The file's text; at most 1 MiB.
result<std::string> read_file(const std::string& path);

/// Why a certificate is not to be used at `now_ms`; says the dates.
result<void> check_dates(const certificate_facts& facts, std::int64_t now_ms);

}  // namespace germline::pki
