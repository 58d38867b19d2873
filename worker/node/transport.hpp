// transport: the seam through which an attempt moves git objects and artefacts, one try at a time:
// a try may break at any byte, and the next goes on from there. transfers.hpp tries again;
// bulk_client is the real one. Blocking, bounded; any thread.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "common/spool.hpp"

namespace germline::worker {

/// Names the attempt that a transfer belongs to.
struct put_ticket {
  std::string worker_id;
  std::string attempt_id;
  std::int64_t fence = 0;
};

enum class content_kind { pack, artefact };

struct fetch_wish {
  content_kind kind = content_kind::pack;
  std::string worker_id;
  std::vector<std::string> want, have;  // pack: commits; what it may stand on
  std::string artefact_id;              // artefact
  std::int64_t max_bytes = 0;
};

/// What came of something so far, in its order.
struct arrival {
  std::string sha256;  // of the whole, as the coordinator said; empty: nothing came yet
  std::string base;    // pack: the one of `have` that it stands on; empty: it is complete
  std::int64_t size_bytes = 0;
  spool bytes;
};

struct put_parcel {
  content_kind kind = content_kind::pack;
  put_ticket ticket;
  std::string sha256;
  std::string_view bytes;
};

/// What a try is told and tells while it goes on.
struct transfer_watch {
  std::stop_token cancelled;  // the try ends soon with `cancelled`
  std::int64_t moved_bytes = 0;
};

class transport {
 public:
  virtual ~transport() = default;
  /// Goes on where `so_far` ends, or begins it anew where the coordinator has something else by
  /// now. Done: all of it came, by its size. `unavailable`: another try may bring the rest.
  virtual result<void> fetch(const fetch_wish& wish, arrival& so_far, transfer_watch& watch) = 0;
  /// How much of it the coordinator has.
  virtual result<std::int64_t> put_offset(const put_parcel& parcel, transfer_watch& watch) = 0;
  /// Brings it from `offset` on. The artefact id that the coordinator computed, or the pack's hash.
  /// not_found: the coordinator has less than `offset` of it.
  virtual result<std::string> put(const put_parcel& parcel, std::int64_t offset,
                                  transfer_watch& watch) = 0;
};

}  // namespace germline::worker
