#include "worker/gateway/transcript_writer.hpp"

#include <algorithm>
#include <utility>

#include "common/log.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t job_bytes = 512;  // so that small entries are bounded too

// Of record::queued_bytes.
constexpr std::size_t small_lane = 0;
constexpr std::size_t large_lane = 1;
constexpr std::size_t free_lane = 2;
constexpr std::size_t request_lane = 3;

}  // namespace

transcript_writer::transcript_writer(std::size_t max_queued_bytes)
    : max_queued_bytes_(max_queued_bytes), thread_([this] { work(); }) {}

transcript_writer::~transcript_writer() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void transcript_writer::append(std::shared_ptr<record> into, transcript_entry entry) {
  if (into->closed || !into->file.writes()) return;
  entry.shorten_refused();
  {
    const std::scoped_lock lock(mutex_);
    const auto bytes = job_bytes + entry.bytes();
    const auto lane = lane_of(bytes, entry.is_free());
    if (!fits(*into, bytes, lane)) {
      ++into->lost;
      if (entry.kept_request != 0) lose_request(*into, entry.kept_request);
      return;
    }
    queued_bytes_ += bytes;
    into->queued_bytes[lane] += bytes;
    queue_.push_back({std::move(into), std::move(entry), 0, nullptr, {}, bytes, lane});
  }
  changed_.notify_all();
}

bool transcript_writer::append_request(std::shared_ptr<record> into, std::uint64_t id,
                                       std::shared_ptr<const std::string> text) {
  if (into->closed || !into->file.writes()) return true;
  {
    const std::scoped_lock lock(mutex_);
    const auto bytes = job_bytes + text->size();
    if (!fits(*into, bytes, request_lane)) return false;
    queued_bytes_ += bytes;
    into->queued_bytes[request_lane] += bytes;
    queue_.push_back({std::move(into), std::nullopt, id, std::move(text), {}, bytes, request_lane});
  }
  changed_.notify_all();
  return true;
}

// One that is still to be written need not be.
void transcript_writer::lose_request(record& of, std::uint64_t id) {
  const auto waits = std::ranges::find_if(
      queue_, [&](const job& one) { return one.into.get() == &of && one.request_id == id; });
  if (waits == queue_.end()) return of.lost_requests.push_back(id);
  waits->request.reset();
}

std::size_t transcript_writer::lane_of(std::size_t bytes, bool is_free) const {
  if (is_free) return free_lane;
  return bytes > max_queued_bytes_ / 64 ? large_lane : small_lane;
}

// Whoever brings about that a large entry waits, or one that costs nothing, must not have what is
// charged left out meanwhile: the last of the room is for small ones that are.
bool transcript_writer::fits(const record& into, std::size_t bytes, std::size_t lane) const {
  const auto waits = into.queued_bytes[lane];
  const bool is_fair = waits == 0 || waits + bytes <= max_queued_bytes_ / 4;
  const auto room = max_queued_bytes_ - (lane == small_lane ? 0 : max_queued_bytes_ / 8);
  return is_fair && queued_bytes_ + bytes <= room;
}

void transcript_writer::close(std::shared_ptr<record> ended, std::function<void()> done) {
  ended->closed = true;
  {
    const std::scoped_lock lock(mutex_);
    queue_.push_back({std::move(ended), std::nullopt, 0, nullptr, std::move(done)});
  }
  changed_.notify_all();
}

bool transcript_writer::is_writing() {
  const std::scoped_lock lock(mutex_);
  return writing_ || !queue_.empty();
}

bool transcript_writer::finish(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [this] { return queue_.empty() && !writing_; });
}

void transcript_writer::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    job next = std::move(queue_.front());
    queue_.pop_front();
    const auto lost = std::exchange(next.into->lost, 0);
    const auto lost_requests = std::exchange(next.into->lost_requests, {});
    writing_ = true;
    lock.unlock();
    write(next, lost);
    for (const auto id : lost_requests) next.into->file.drop_request(id);
    next.request.reset();
    next.entry.reset();
    lock.lock();
    writing_ = false;
    queued_bytes_ -= next.bytes;
    next.into->queued_bytes[next.lane] -= next.bytes;
    if (queue_.empty()) changed_.notify_all();
  }
}

void transcript_writer::write(const job& next, std::int64_t lost) {
  auto& file = next.into->file;
  result<void> written;
  if (next.request) written = file.keep_request(next.request_id, *next.request);
  if (next.entry) written = file.append(*next.entry);
  if (written && lost > 0) written = file.append_lost(lost);
  if (!written) log_error("{}: {}", next.into->attempt_id, written.error().message());
  if (!next.done) return;
  file.close();
  next.done();
}

}  // namespace germline::worker
