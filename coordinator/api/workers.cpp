// The part of `people` that tells of workers, keeps them from leases, and says what waits for one.
#include <algorithm>

#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/asking.hpp"
#include "coordinator/api/people.hpp"
#include "coordinator/api/waiting.hpp"
#include "coordinator/health.hpp"

namespace germline {
namespace {

v1::WorkerInfo info_of(const worker_status& worker, std::int64_t utc_ms) {
  v1::WorkerInfo info;
  info.set_worker_id(worker.worker);
  info.set_connected(worker.connected);
  info.set_slots(worker.slots);
  info.set_busy(worker.busy);
  info.set_base_digest(worker.base_digest);
  info.set_last_seen_ms(utc_ms - worker.last_seen_ms_ago);
  info.set_cordoned(worker.cordoned);
  info.set_cordon_why(worker.cordon_why);
  info.set_version(worker.version);
  info.set_trouble(worker.trouble);
  for (const auto& tag : worker.tags) info.add_tags(tag);
  for (const auto& attempt : worker.attempts) info.add_attempts(attempt);
  return info;
}

/// The one worker whose id is `given` or alone begins with it.
result<std::string> worker_named(const worker_statuses& known, const std::string& given) {
  constexpr std::size_t named_most = 8;
  if (given.empty()) return invalid("no worker was named");
  std::vector<std::string> found;
  for (const auto& each : known) {
    if (each.worker == given) return given;
    if (each.worker.starts_with(given)) found.push_back(each.worker);
  }
  if (found.empty()) {
    return error(error_code::not_found,
                 "there is no worker '" + given + "': `germline workers` lists them");
  }
  if (found.size() == 1) return found.front();
  std::string several = "'" + given + "' fits several workers; name one of them by its id:";
  for (std::size_t i = 0; i < found.size() && i < named_most; ++i) several += "\n  " + found[i];
  if (found.size() > named_most) several += "\n  and more";
  return invalid(several);
}

}  // namespace

result<fleet_status> people::fleet() {
  return ask<fleet_status>(system_, short_wait, actors_.dispatcher, status_atom_v);
}

std::vector<std::string> people::troubles_of(const fleet_status& known) const {
  auto all = well_.troubles();
  for (const auto& each : known.workers) {
    if (!each.connected || each.trouble.empty()) continue;
    all.push_back("worker " + each.worker + " is leased nothing: " + each.trouble);
  }
  return all;
}

result<v1::GetStatusReply> people::status() {
  GERMLINE_TRY_ASSIGN(const auto known, fleet());
  v1::GetStatusReply reply;
  reply.set_coordinator_id(coordinator_id_);
  reply.set_version("0.1.0");
  for (const auto& each : known.workers) *reply.add_workers() = info_of(each, env_.time->utc_ms());
  GERMLINE_TRY_ASSIGN(const auto lineages, reader_.lineages(""));
  std::int64_t active = 0;
  for (const auto& each : lineages) active += each.state() == v1::LINEAGE_STATE_ACTIVE ? 1 : 0;
  reply.set_lineages_active(active);
  for (auto& trouble : troubles_of(known)) reply.add_troubles(std::move(trouble));
  return reply;
}

result<v1::CordonReply> people::cordon(const v1::CordonRequest& request) {
  GERMLINE_TRY(check_why(request.why()));
  GERMLINE_TRY_ASSIGN(const auto known, fleet());
  GERMLINE_TRY_ASSIGN(const auto worker, worker_named(known.workers, request.worker()));
  records::cordon word{worker, request.cordoned(), request.why(), env_.time->utc_ms()};
  for (const auto& each : known.workers) {  // said again without a reason, the former stands
    const bool again = each.worker == worker && each.cordoned && word.cordoned;
    if (again && word.why.empty()) word.why = each.cordon_why;
  }
  GERMLINE_TRY(tell(system_, short_wait, actors_.dispatcher, word));
  GERMLINE_TRY_ASSIGN(const auto now, fleet());
  v1::CordonReply reply;
  for (const auto& each : now.workers) {
    if (each.worker == worker) *reply.mutable_worker() = info_of(each, env_.time->utc_ms());
  }
  return reply;
}

waiting_teller people::waiting() {
  return {reader_, [this] { return fleet(); }};
}

}  // namespace germline
