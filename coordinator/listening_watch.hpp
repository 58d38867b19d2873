// listening_watch: dials the coordinator's own address now and then. A gRPC 1.51 listener that once
// failed to accept, for want of descriptors, accepts nobody ever after: a coordinator that stands
// and answers nobody is worse than one that ends, which its supervisor starts again. Owns one
// thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace germline {

class listening_watch {
 public:
  struct patience {
    std::chrono::milliseconds pause = std::chrono::seconds(10);    // between two looks
    std::chrono::milliseconds longest = std::chrono::seconds(10);  // for one connection
    int failures = 3;                                              // in a row
  };
  /// `give_up` is called once, from the watch's thread, when nobody was accepted so often.
  listening_watch(std::string address, std::function<void()> give_up, patience limits);
  listening_watch(std::string address, std::function<void()> give_up)
      : listening_watch(std::move(address), std::move(give_up), patience()) {}
  ~listening_watch();
  listening_watch(const listening_watch&) = delete;
  listening_watch& operator=(const listening_watch&) = delete;

 private:
  void watch();
  bool accepts() const;

  const std::string address_;
  const std::function<void()> give_up_;
  const patience limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

/// Takes as many descriptors as the system lets this process have: each connection is one.
void raise_descriptor_limit();

}  // namespace germline
