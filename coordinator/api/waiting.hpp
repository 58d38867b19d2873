// waiting: what an item that nobody has waits for, for people.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "coordinator/actors.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {

/// "a free slot on a worker", or why no worker that there is would be leased it.
std::string waits_for(const worker_statuses& workers, const worker_needs& needs);
/// The same, with who is to have it first, or what keeps the coordinator itself from leasing it.
std::string waits_for(const fleet_status& fleet, const std::string& item,
                      const worker_needs& needs);

/// Whether no worker has the iteration just now.
bool is_unleased(const v1::IterationInfo& iteration);

/// Puts into a reply for what each of its items waits. Of the fleet and of each run it asks once,
/// and only where something waits. One for each reply; for the thread that makes it.
class waiting_teller {
 public:
  using fleet_reader = std::function<result<fleet_status>()>;

  waiting_teller(record_reader& record, fleet_reader ask) : record_(record), ask_(std::move(ask)) {}

  /// Of the lineage's live iteration.
  void tell(v1::LineageInfo& lineage);
  /// Of all its lineages. Until the seed is founded that is what is live, of all of them.
  void tell(v1::RunInfo& run);
  /// Of any iteration of the run.
  void tell(const v1::RunInfo& run, v1::IterationInfo& iteration);

 private:
  struct known_run {
    std::optional<worker_needs> needs;
    std::optional<std::set<std::string>> active;  // lineages
  };

  known_run& known(const std::string& run);
  std::string why(const std::string& item, const worker_needs& needs);

  record_reader& record_;
  fleet_reader ask_;
  std::optional<result<fleet_status>> fleet_;
  std::map<std::string, known_run> runs_;
};

}  // namespace germline
