// The part of the store that keeps workers: who was here, and whom a person keeps from leases.
#include "common/text/tags.hpp"
#include "coordinator/store/store.hpp"
#include "coordinator/store/store_impl.hpp"

namespace germline {
namespace {

constexpr int kept_workers = 1'000;  // and all that are cordoned

}  // namespace

result<void> store::note_worker(const records::known_worker& worker) {
  auto& db = impl_->db;
  return impl_->transact([&]() -> result<void> {
    sql::exec(db,
              "INSERT INTO workers (id, seen_ms, base_digest, slots, version, tags, place) VALUES"
              " (?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET seen_ms = excluded.seen_ms,"
              " base_digest = excluded.base_digest, slots = excluded.slots,"
              " version = excluded.version, tags = excluded.tags, place = excluded.place",
              worker.id, worker.seen_ms, worker.base_digest, worker.slots, worker.version,
              join_tags(worker.tags, "\n"), worker.place);
    sql::exec(db,
              "DELETE FROM workers WHERE cordoned = 0 AND id NOT IN (SELECT id FROM workers"
              " ORDER BY cordoned DESC, seen_ms DESC LIMIT ?)",
              kept_workers);
    return {};
  });
}

result<void> store::cordon(const records::cordon& word) {
  return impl_->transact([&]() -> result<void> {
    sql::exec(impl_->db,
              "INSERT INTO workers (id, seen_ms, cordoned, cordon_why) VALUES (?,?,?,?)"
              " ON CONFLICT (id) DO UPDATE SET cordoned = excluded.cordoned,"
              " cordon_why = excluded.cordon_why",
              word.worker, word.now_ms, word.cordoned ? 1 : 0, word.cordoned ? word.why : "");
    return {};
  });
}

result<void> store::probe() {
  return impl_->transact([&]() -> result<void> {
    const int version = impl_->db.execAndGet("PRAGMA user_version").getInt();
    impl_->db.exec("PRAGMA user_version = " + std::to_string(version));
    return {};
  });
}

}  // namespace germline
