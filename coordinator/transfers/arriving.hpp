// arriving: what workers put, on the disk and not in memory, until it is whole; and of what was cut
// off, how much is here, so that it goes on from there. A part is named by all that the header of a
// put says and by the kind of the put: no other attempt, fence, content or kind can have it. What
// came to its end is remembered with its answer, in case that the answer was lost.
// It does not judge who may put: the handlers do. Bounded in number, bytes and age; what is being
// put stays. Owns the files. Any thread; calls block on the disk.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "coordinator/transfers/bounds.hpp"

namespace germline::transfers {

enum class content_kind { pack, artefact };

struct parcel_name {
  content_kind kind = content_kind::pack;
  std::string worker_id, attempt_id;
  std::int64_t fence = 0;
  std::string sha256;  // of the whole
  std::int64_t size_bytes = 0;

  auto operator<=>(const parcel_name&) const = default;
};

class arriving;

/// One stream's hold on a part. Let go of, the part waits for another to go on.
class parcel {
 public:
  parcel(parcel&& other) noexcept;
  parcel& operator=(parcel&&) = delete;
  ~parcel();

  /// The answer that was given when it came to its end before.
  std::optional<std::string> answered() const;
  /// The next bytes. `cancelled` once a later stream brings the same, or it was dropped.
  result<void> take(std::string_view bytes);
  bool complete() const;
  /// All of it; data_loss when size or hash is not as named, and then nothing of it stays. Valid
  /// until it is settled. `unavailable` while another stream has it so. What is not settled after
  /// this is dropped with the parcel.
  result<std::string_view> finish();
  /// It is stored elsewhere, and this is what the worker was told.
  void settle(const std::string& answer);
  /// Nothing of it is of use.
  void drop();

 private:
  friend class arriving;
  struct part;
  parcel(arriving& owner, parcel_name name, std::shared_ptr<part> held, std::int64_t skip);

  arriving* owner_;  // none: moved from
  parcel_name name_;
  std::shared_ptr<part> part_;  // shared with the table and with streams that were left behind
  std::uint64_t stream_ = 0;
  std::int64_t skip_ = 0;  // bytes that come and are here already
};

class arriving {
 public:
  /// Files are made in `directory`. REQUIRES that `time` outlives this, and this its parcels.
  arriving(std::string directory, const clock& time, keeping bounds = {})
      : directory_(std::move(directory)), time_(time), bounds_(bounds) {}
  arriving(const arriving&) = delete;
  arriving& operator=(const arriving&) = delete;

  /// How much of it is here, 0 where nothing is.
  std::int64_t bytes_of(const parcel_name& name);
  /// A stream begins to bring it from `offset` on; one that brought the same is left behind.
  /// not_found when less than that is here.
  result<parcel> resume(const parcel_name& name, std::int64_t offset);
  /// Drops what was not used for long, and that of which `may_put` says no.
  void sweep(const std::function<bool(const parcel_name&)>& may_put);

 private:
  friend class parcel;
  void let_go(const parcel_name& name, const std::shared_ptr<parcel::part>& held,
              std::uint64_t stream);
  void forget(const parcel_name& name, const std::shared_ptr<parcel::part>& held);
  void trim(const parcel_name& but);

  const std::string directory_;
  const clock& time_;
  const keeping bounds_;
  std::mutex mutex_;
  std::map<parcel_name, std::shared_ptr<parcel::part>> parts_;
};

}  // namespace germline::transfers
