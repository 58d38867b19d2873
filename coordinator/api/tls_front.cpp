#include "coordinator/api/tls_front.hpp"

#include <chrono>

#include "common/grpc_tls.hpp"
#include "common/log.hpp"

namespace germline {
namespace {

constexpr auto look_interval = std::chrono::hours(1);

/// The authority in the folder, made where there is none.
result<std::unique_ptr<pki::authority>> take_authority(const std::string& folder,
                                                       const clock& time) {
  auto opened = pki::authority::open(folder, time);
  if (opened || opened.error().code() != error_code::not_found) return opened;
  GERMLINE_TRY_ASSIGN(auto made, pki::authority::make(folder, time));
  log_info("made an authority for certificates in {}", folder);
  return made;
}

}  // namespace

result<std::unique_ptr<tls_front>> tls_front::make(const std::string& tls_folder,
                                                   const std::string& pki_folder,
                                                   const clock& time) {
  std::unique_ptr<tls_front> front(new tls_front());
  auto folder = tls_folder;
  if (folder.empty()) {
    GERMLINE_TRY_ASSIGN(front->authority_, take_authority(pki_folder, time));
    GERMLINE_TRY(front->authority_->keep_server_certificate());
    folder = front->authority_->server_folder();
  }
  GERMLINE_TRY_ASSIGN(const auto read, pki::read_credentials(folder));
  GERMLINE_TRY(pki::check_dates(read.facts, time.utc_ms()));
  GERMLINE_TRY_ASSIGN(front->credentials_, server_credentials(folder));
  front->gate_ =
      std::make_shared<gate>(front->authority_.get(), pki::credential_paths(folder).ca, time);
  front->credentials_->SetAuthMetadataProcessor(front->gate_);
  if (front->authority_) front->keeper_ = std::thread([it = front.get()] { it->keep(); });
  return front;
}

tls_front::~tls_front() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (keeper_.joinable()) keeper_.join();
}

void tls_front::keep() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, look_interval, [this] { return stopping_; })) {
    if (const auto kept = authority_->keep_server_certificate(); !kept) {
      log_error("the coordinator's certificate: {}", kept.error().message());
    }
  }
}

}  // namespace germline
