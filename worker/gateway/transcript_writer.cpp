#include "worker/gateway/transcript_writer.hpp"

#include <algorithm>
#include <utility>

#include "common/log.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t job_bytes = 512;  // so that small entries are bounded too

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
    if (!fits(*into, bytes)) {
      ++into->lost;
      if (entry.kept_request != 0) lose_request(*into, entry.kept_request);
      return;
    }
    queued_bytes_ += bytes;
    into->queued_bytes += bytes;
    queue_.push_back({std::move(into), std::move(entry), 0, nullptr, {}, bytes});
  }
  changed_.notify_all();
}

bool transcript_writer::append_request(std::shared_ptr<record> into, std::uint64_t id,
                                       std::shared_ptr<const std::string> text) {
  if (into->closed || !into->file.writes()) return true;
  {
    const std::scoped_lock lock(mutex_);
    const auto bytes = job_bytes + text->size();
    if (!fits(*into, bytes)) return false;
    queued_bytes_ += bytes;
    into->queued_bytes += bytes;
    queue_.push_back({std::move(into), std::nullopt, id, std::move(text), {}, bytes});
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

bool transcript_writer::fits(const record& into, std::size_t bytes) const {
  const bool is_fair = into.queued_bytes == 0 || into.queued_bytes + bytes <= max_queued_bytes_ / 4;
  return is_fair && bytes <= max_queued_bytes_ - queued_bytes_;
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
    next.into->queued_bytes -= next.bytes;
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
