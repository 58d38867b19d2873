// deps: gets what the [deps] of a genome come to onto this machine, for one attempt: reads the
// files that it names out of the seed's commit, in a sandbox; and where no layer is kept of them,
// runs the command in a sandbox of its own that has these files, a listener of germline-mirror, and
// nothing else, and keeps what it leaves. Nothing of what comes out is run or followed here.
// get() belongs to the attempt's thread; renew() may come from any. A cancel reaches it through the
// sandbox_set.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "worker/mirror/access.hpp"
#include "worker/node/building.hpp"
#include "worker/node/genome_commands.hpp"
#include "worker/node/layer_cache.hpp"
#include "worker/node/sandbox_set.hpp"

namespace germline::worker {

/// The most that a genome's [deps] may have, and what they have where they do not ask.
struct deps_bounds {
  std::int64_t wall_ms_max = deps_wall_ms_max;
  std::int64_t wall_ms_default = 10 * 60'000;
  std::int64_t disk_bytes_max = deps_disk_bytes_max;
  std::int64_t disk_bytes_default = std::int64_t{2} << 30;
  std::int64_t entries_max = 100'000;  // files, folders and links
  mirror_limits fetch;
};

/// The key of the layer: hash of the files' names and contents, the command, the mirrors' names
/// and the base.
std::string deps_key(const deps_request& deps, const std::vector<std::string_view>& contents,
                     std::string_view base_digest);

/// What all attempts of a worker share. Thread-safe; outlives the attempts.
class deps_store {
 public:
  /// `mirrors` may be null: then nothing that is not kept already can be had. REQUIRES that both
  /// outlive this.
  deps_store(layer_cache& layers, mirror_access* mirrors, const deps_bounds& bounds)
      : layers_(layers), mirrors_(mirrors), bounds_(bounds) {}

  layer_cache& layers() { return layers_; }
  mirror_access* mirrors() { return mirrors_; }
  const deps_bounds& bounds() const { return bounds_; }
  /// The key that was found for a seed before; empty: none.
  std::string key_of(const std::string& seed) const;
  void note_key(const std::string& seed, const std::string& key);
  /// One fetch at a time; waits until the lock is free. cancelled: `cancelled` said so meanwhile.
  result<std::unique_lock<std::mutex>> take_turn(const std::function<bool()>& cancelled);

 private:
  layer_cache& layers_;
  mirror_access* mirrors_;
  const deps_bounds bounds_;
  std::mutex fetching_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> keys_;  // so that no sandbox is needed to know them again
};

struct deps_wish {
  const genome_commands* commands = nullptr;
  std::string_view pack;  // of the commit's objects
  std::string commit;     // whose files are read: the seed's
  std::string base_digest;
  std::string attempt_id;
  bool is_resumed = false;     // a person resumes its lineage where this worker lacks a mirror
  sandbox_policy_spec policy;  // what the run allows a sandbox; what the fetch needs is put in
};

struct deps_answer {
  layer_pin layer;                 // where nothing was refused
  std::string left_out;            // of what a fetch left, what no layer has: lines; empty: nothing
  std::optional<refusal> refused;  // by the genome's own fault
};

class deps_fetch {
 public:
  /// What is told of a fetch that takes place: "started", "done", "failed", and more of it.
  using step_sink = std::function<void(const std::string& status, const std::string& detail)>;

  /// `store` may be null: then no genome with [deps] is served.
  deps_fetch(deps_store* store, sandbox_set& sandboxes, std::int64_t lease_until_boot_ms)
      : store_(store), sandboxes_(sandboxes), lease_until_boot_ms_(lease_until_boot_ms) {}

  /// REQUIRES that the genome has [deps]. An error is the machine's fault, or the mirror's; of code
  /// failed_precondition: no attempt does better here until a person gives this worker a mirror.
  result<deps_answer> get(const deps_wish& wish, const step_sink& step);
  void renew(std::int64_t lease_until_boot_ms);

 private:
  struct input {
    std::string key;
    spool files;  // a tar of them
  };
  struct open_mirror;
  result<std::optional<refusal>> read_input(const deps_wish& wish, input& into);
  result<std::optional<refusal>> fill(const deps_wish& wish, input& from, const std::string& folder,
                                      std::string& left_out);
  result<std::optional<refusal>> run_command(live_sandbox& box, const deps_wish& wish);
  result<std::optional<refusal>> take_out(live_sandbox& box, const deps_wish& wish,
                                          const std::string& folder, std::string& left_out);
  result<void> check_mirrors(const deps_wish& wish) const;
  sandbox_policy_spec fetch_policy(const deps_wish& wish) const;
  std::int64_t deadline() const;

  deps_store* store_;
  sandbox_set& sandboxes_;
  std::mutex mutex_;  // of what follows
  std::int64_t lease_until_boot_ms_;
  std::int64_t wall_until_boot_ms_ = 0;
  std::string open_id_;  // of the fetch at the mirror; empty: none is open
};

}  // namespace germline::worker
