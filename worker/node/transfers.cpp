#include "worker/node/transfers.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "common/hash.hpp"
#include "common/log.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t first_pause_ms = 200;
constexpr std::int64_t longest_pause_ms = 10'000;
/// A coordinator that is away is waited for as long as the lease stands, which is less; here it is
/// there, and yet nothing gets through.
constexpr std::int64_t futile_ms_max = 5 * 60'000;

std::string_view words(content_kind kind) {
  return kind == content_kind::pack ? "objects" : "an artefact";
}

}  // namespace

/// When to try again, and whether at all.
class transfers::retry {
 public:
  retry(transfers& owner, std::string doing)
      : owner_(owner), doing_(std::move(doing)), since_ms_(owner.time_.boot_ms()) {}

  /// Waits until the next try; an error says why there is none. `reached` is how far the transfer
  /// got.
  result<void> pause(const error& why, std::int64_t reached) {
    if (owner_.cancelled_.stop_requested()) {
      return error(error_code::cancelled, "the attempt was cancelled");
    }
    if (why.code() != error_code::unavailable) return why.within(doing_);
    const auto now_ms = owner_.time_.boot_ms();
    if (reached > reached_) {
      reached_ = reached;
      since_ms_ = now_ms;
      pause_ms_ = first_pause_ms;
    }
    if (now_ms - since_ms_ > futile_ms_max) return why.within(doing_ + " without avail");
    log_info("{} goes on from byte {}, since {}", doing_, reached, why.message());
    const auto wait_ms =
        static_cast<std::int64_t>(owner_.random_.below(static_cast<std::uint64_t>(pause_ms_))) + 1;
    pause_ms_ = std::min(2 * pause_ms_, longest_pause_ms);
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait_for(lock, owner_.cancelled_.get_token(), std::chrono::milliseconds(wait_ms),
                     [] { return false; });
    return {};
  }

 private:
  transfers& owner_;
  const std::string doing_;
  std::int64_t since_ms_;
  std::int64_t reached_ = 0;
  std::int64_t pause_ms_ = first_pause_ms;
};

result<arrival> transfers::fetch(const fetch_wish& wish, spool into) {
  const auto doing = "fetching " + std::string(words(wish.kind)) + " from the coordinator";
  arrival so_far;
  so_far.bytes = std::move(into);
  retry again(*this, doing);
  for (bool damaged = false;;) {
    transfer_watch watch{cancelled_.get_token(), 0};
    auto came = bulk_.fetch(wish, so_far, watch);
    fetched_bytes_ += watch.moved_bytes;
    if (came) {
      GERMLINE_TRY_ASSIGN(const auto bytes, so_far.bytes.view());
      if (sha256_hex(bytes) == so_far.sha256) return so_far;
      came = error(error_code::data_loss, "its SHA-256 is not what its head says");
    }
    if (came.error().code() == error_code::data_loss && !damaged) {
      damaged = true;
      log_warning("{} begins anew, since {}", doing, came.error().message());
      so_far.sha256.clear();
      so_far.size_bytes = 0;
      GERMLINE_TRY(so_far.bytes.clear());
      continue;
    }
    GERMLINE_TRY(again.pause(came.error(), so_far.bytes.size()));
  }
}

result<std::string> transfers::put(const put_ticket& ticket, content_kind kind,
                                   std::string_view bytes) {
  const auto doing = "putting " + std::string(words(kind)) + " to the coordinator";
  const put_parcel parcel{kind, ticket, sha256_hex(bytes), bytes};
  retry again(*this, doing);
  std::int64_t offset = 0;
  bool known = true;  // where to go on
  for (bool anew = false;;) {
    transfer_watch watch{cancelled_.get_token(), 0};
    auto answered = [&]() -> result<std::string> {
      if (!known) {
        GERMLINE_TRY_ASSIGN(offset, bulk_.put_offset(parcel, watch));
        known = true;
      }
      return bulk_.put(parcel, offset, watch);
    }();
    put_bytes_ += watch.moved_bytes;
    if (answered) return answered;
    const auto code = answered.error().code();
    const bool is_gone = code == error_code::not_found && offset > 0;
    if ((is_gone || code == error_code::data_loss) && !anew) {
      anew = true;
      log_warning("{} begins anew, since {}", doing, answered.error().message());
      offset = 0;
      continue;
    }
    GERMLINE_TRY(again.pause(answered.error(), offset));
    known = false;
  }
}

}  // namespace germline::worker
