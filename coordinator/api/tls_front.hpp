// tls_front: what a coordinator needs to be dialled from elsewhere: its credentials, the gate, and
// its authority, unless certificates were brought along. Keeps the coordinator's certificate from
// running out. Owns the authority and one thread. Start and stop from one thread.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/clock.hpp"
#include "common/pki/authority.hpp"
#include "coordinator/api/gate.hpp"

namespace germline {

class tls_front {
 public:
  /// With the credentials in `tls_folder`; where that is empty, with those of the authority in
  /// `pki_folder`, which is made when it is not there.
  static result<std::unique_ptr<tls_front>> make(const std::string& tls_folder,
                                                 const std::string& pki_folder, const clock& time);
  ~tls_front();
  tls_front(const tls_front&) = delete;
  tls_front& operator=(const tls_front&) = delete;

  std::shared_ptr<grpc::ServerCredentials> credentials() const { return credentials_; }
  /// Null: certificates were brought along.
  pki::authority* authority() const { return authority_.get(); }
  const gate& guard() const { return *gate_; }

 private:
  tls_front() = default;
  void keep();

  std::unique_ptr<pki::authority> authority_;
  std::shared_ptr<gate> gate_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread keeper_;
};

}  // namespace germline
