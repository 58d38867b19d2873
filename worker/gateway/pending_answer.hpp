// pending_answer: an upstream's answer as it arrives, for one coroutine to wait on. Buffers at most
// max_buffered_bytes, then the upstream is paused.
// Everything runs on the io_context's one thread.
#pragma once

#include <optional>
#include <string>

#include "worker/gateway/loop_types.hpp"
#include "worker/gateway/upstream.hpp"

namespace germline::worker {

class pending_answer final : public upstream_sink {
 public:
  static constexpr std::size_t max_buffered_bytes = 256 * 1024;

  /// `signal` is cancelled whenever there is something new.
  explicit pending_answer(loop_timer& signal) : signal_(signal) {}

  std::optional<upstream_head> head;
  std::string data;
  std::optional<upstream_end> end;
  std::string end_reason;
  bool paused = false;

  void on_head(upstream_head arrived) override {
    head = std::move(arrived);
    signal_.cancel();
  }
  bool on_data(std::string_view bytes) override {
    if (data.size() >= max_buffered_bytes) {
      paused = true;
      return false;
    }
    data += bytes;
    signal_.cancel();
    return true;
  }
  void on_end(upstream_end how, std::string_view why) override {
    end = how;
    end_reason = why;
    signal_.cancel();
  }

 private:
  loop_timer& signal_;
};

}  // namespace germline::worker
