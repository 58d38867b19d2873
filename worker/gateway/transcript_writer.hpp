// transcript_writer: writes the transcripts of all attempts on a thread of its own, so that no disk
// holds the gateway's loop up. Entries wait in one queue, in the order given, bounded in bytes:
// what does not fit is dropped, and its transcript says how many were; no attempt that has entries
// waiting may have more than a quarter of the queue. append, close and finish
// come from one thread, the gateway's; `done` runs on the writer's.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "worker/gateway/transcript.hpp"

namespace germline::worker {

class transcript_writer {
 public:
  /// One attempt's transcript, and what is on its way to it.
  struct record {
    std::string attempt_id;
    transcript file;
    std::int64_t lost = 0;                     // under the writer's mutex
    std::vector<std::uint64_t> lost_requests;  // the same: kept, and their entries lost
    // Likewise, each by itself: small entries that were charged, large ones that were, those that
    // were free of charge, and requests of entries that come later. None takes the room of another.
    std::array<std::size_t, 4> queued_bytes{};
    bool closed = false;  // of the gateway's thread
  };

  explicit transcript_writer(std::size_t max_queued_bytes = 64 << 20);
  /// Writes what waits.
  ~transcript_writer();

  void append(std::shared_ptr<record> into, transcript_entry entry);
  /// Writes the request of an entry that comes later (transcript::keep_request), so that it need
  /// not be held until then. False: there is no room for it.
  bool append_request(std::shared_ptr<record> into, std::uint64_t id,
                      std::shared_ptr<const std::string> text);
  /// Nothing more will be appended to `ended`. `done` is called when all that was is written and
  /// the file is closed; it must be quick.
  void close(std::shared_ptr<record> ended, std::function<void()> done);
  bool is_writing();
  /// Waits until all is written, at most so long. False: it took longer.
  bool finish(std::chrono::milliseconds most);

 private:
  struct job {
    std::shared_ptr<record> into;
    std::optional<transcript_entry> entry;
    std::uint64_t request_id = 0;  // of `request`; 0: there is none
    std::shared_ptr<const std::string> request;
    std::function<void()> done;
    std::size_t bytes = 0;
    std::size_t lane = 0;  // of record::queued_bytes
  };
  void work();
  static void write(const job& next, std::int64_t lost);
  std::size_t lane_of(std::size_t bytes, bool is_free) const;
  bool fits(const record& into, std::size_t bytes, std::size_t lane) const;
  void lose_request(record& of, std::uint64_t id);

  const std::size_t max_queued_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<job> queue_;
  std::size_t queued_bytes_ = 0;  // with what is being written
  bool writing_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace germline::worker
