#include "coordinator/listening_watch.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/resource.h>

#include <utility>

#include "common/log.hpp"

namespace germline {

listening_watch::listening_watch(std::string address, std::function<void()> give_up,
                                 patience limits)
    : address_(std::move(address)),
      give_up_(std::move(give_up)),
      limits_(limits),
      thread_([this] { watch(); }) {}

listening_watch::~listening_watch() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void listening_watch::watch() {
  std::unique_lock lock(mutex_);
  for (int failures = 0; failures < limits_.failures;) {
    if (changed_.wait_for(lock, limits_.pause, [this] { return stopping_; })) return;
    lock.unlock();
    const bool well = accepts();
    lock.lock();
    failures = well ? 0 : failures + 1;
  }
  if (!stopping_) give_up_();
}

/// Whether a connection of its own comes about, up to HTTP/2's settings.
bool listening_watch::accepts() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel =
      grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  return channel->WaitForConnected(gpr_time_from_millis(limits_.longest.count(), GPR_TIMESPAN));
}

void raise_descriptor_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log_warning("the descriptor limit stays as it is");
}

}  // namespace germline
