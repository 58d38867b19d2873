// archive: the generations of one run as strategies see them, with the indexes that make a choice
// cheap however many there are: by rank, by the number of children, and by the median. It holds
// what the record says and is told of each change of it; it decides nothing and knows neither the
// record nor actors. What one strategy alone needs, that keeps by itself, as a watcher. Scores are
// turned so that the greater is always the better one. Not thread-safe: held by who writes the
// record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/random.hpp"
#include "coordinator/evolution/weight_tree.hpp"

namespace germline::evolution {

using named_value = std::pair<std::string, double>;

/// How one evaluation of a generation ended; all as it was reported.
struct measured_once {
  std::optional<double> score;
  std::vector<named_value> descriptors = {};
  std::vector<named_value> cases = {};
};

class archive {
 public:
  struct birth {
    std::string id;
    std::string parent;   // empty for the seed
    int evaluations = 0;  // that it is to be measured by before it counts as measured
    int lineage = 0;      // the number of the lineage that bore it, in its run; 0: it is the seed
  };
  struct member {
    std::string id;
    std::optional<std::size_t> parent;
    int lineage = 0;             // as in birth
    int expected = 0;            // evaluations
    int missing = 0;             // of those, that ended without a score
    std::vector<double> scores;  // turned
    double mean = 0;             // of the scores; where there are any
    double bound = 0;            // of the mean at 95 %, the lower one; see fitness.hpp
    int children = 0;            // that were born of it
    int under_way = 0;           // iterations from it that are live
    int own_failures = 0;        // iterations from it that its agent failed by itself
    bool carried = false;        // an iteration from it ended otherwise than by failing
    bool barred = false;         // killed
    bool is_measured() const { return static_cast<int>(scores.size()) + missing >= expected; }
  };

  /// Keeps what one strategy needs beside the archive. Told of each change once it is made.
  class watcher {
   public:
    watcher() = default;
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;
    virtual ~watcher() = default;
    virtual void on_added(const archive&, std::size_t /*slot*/) {}
    virtual void on_measured(const archive&, std::size_t /*slot*/, const measured_once&) {}
    /// Whether it is a candidate, or its scores; after what is said above.
    virtual void on_changed(const archive&, std::size_t /*slot*/) {}
  };

  /// `told` outlives the archive; nobody where it is null.
  explicit archive(bool minimizes, watcher* told = nullptr) : minimizes_(minimizes), told_(told) {}

  // What the record says. An id that is not known is not looked at.
  void add(const birth& born);
  void measure(const std::string& generation, const measured_once& outcome);
  /// Of an iteration from this generation.
  void begin(const std::string& parent);
  void end(const std::string& parent, bool failed, bool by_itself);
  void bar(const std::string& generation);

  bool minimizes() const { return minimizes_; }
  std::size_t size() const { return members_.size(); }
  const member& at(std::size_t slot) const { return members_.at(slot); }
  std::optional<std::size_t> find(const std::string& id) const;
  /// Born, and not measured as often as they are to be.
  std::size_t unmeasured() const { return unmeasured_; }
  /// Iterations that are live.
  std::size_t under_way() const { return under_way_; }

  // Candidates are the generations that can be parents: measured, with every one of their scores,
  // not barred, and not such whose agent failed by itself again and again without ever carrying an
  // iteration through.
  std::size_t candidates() const { return by_mean_.size(); }
  bool is_candidate(std::size_t slot) const;
  /// The candidate at a place in the order of their means, from the worst, 0, on. O(log n).
  std::size_t by_rank(std::size_t rank) const;
  /// The one whose lower bound is the greatest, of several the greatest mean, then the eldest.
  /// O(log n). REQUIRES that there is one.
  std::size_t best() const;
  /// A candidate with a probability in proportion to 1 / (1 + children + under way). O(log n).
  /// REQUIRES that there is one.
  std::size_t draw_by_children(random_source& chance) const;
  double childless_weight(std::size_t slot) const;  // 1 / (1 + children + under way)
  /// Of the candidates' means, and the median of the distances from it (MAD). O(log^2 n). REQUIRES
  /// that there is one.
  double median() const;
  double spread() const;

 private:
  struct by_mean_key {
    double mean = 0;
    std::size_t slot = 0;
    auto operator<=>(const by_mean_key&) const = default;
  };
  struct best_key {
    double bound = 0;
    double mean = 0;
    std::ptrdiff_t age = 0;
    std::size_t slot = 0;
    auto operator<=>(const best_key&) const = default;
  };
  template <class Key>
  using ordered =
      __gnu_pbds::tree<Key, __gnu_pbds::null_type, std::less<Key>, __gnu_pbds::rb_tree_tag,
                       __gnu_pbds::tree_order_statistics_node_update>;

  best_key key_of(std::size_t slot) const;
  double mean_at(std::size_t rank) const { return by_mean_.find_by_order(rank)->mean; }
  /// The distance from `middle` at a place in the order of the distances.
  double distance_at(std::size_t rank, double middle) const;
  /// Changes a member, and keeps what is counted and indexed of it. None: it is not known.
  std::optional<std::size_t> change(const std::string& id, const std::function<void(member&)>& how);
  void tell_changed(std::optional<std::size_t> slot) const;
  bool qualifies(const member& of, bool is_seed) const;

  bool minimizes_;
  watcher* told_;
  std::vector<member> members_;  // in the order in which they became known
  std::unordered_map<std::string, std::size_t> slots_;
  std::size_t unmeasured_ = 0;
  std::size_t under_way_ = 0;
  std::vector<bool> candidate_;
  ordered<by_mean_key> by_mean_;  // the candidates
  ordered<best_key> by_bound_;    // the candidates
  weight_tree by_children_;       // 0: no candidate
};

}  // namespace germline::evolution
