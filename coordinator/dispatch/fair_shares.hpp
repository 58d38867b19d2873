// fair_shares: whose turn it is where several runs want the same slots. Of the runs with work,
// those of the highest priority; among these the one whose virtual time, slot time by weight, is
// the smallest. A lease is charged its run's mean when it begins, and what it took when it ends.
// Start-time fair queueing: P. Goyal, H. M. Vin, H. Cheng, SIGCOMM 1996; charging before the length
// is known and correcting it after, as C. A. Waldspurger and W. E. Weihl do for partial quanta (MIT
// LCS TM-528, 1995).
// A plain value: part of dispatch_state, and held by the dispatcher alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace germline::dispatch {

/// What a run may have of slots that others want, too.
struct run_share {
  int priority = 0;  // of two with work, that with the higher one has every slot that comes free
  int weight = 1;    // at the same priority slot time is in proportion to it; at least 1

  bool operator==(const run_share&) const = default;
};

/// What one lease was charged.
struct slot_use {
  std::int64_t since_ms = 0;
  double charged_ms = 0;
  int weight = 1;   // when it was
  int account = 0;  // which of the run's: each other priority has a new one
};

class fair_shares {
 public:
  /// Of a run that is not known yet.
  void learn(const std::string& run, const run_share& share);
  void set(const std::string& run, const run_share& share);  // also of one that is not known
  run_share of(const std::string& run) const;

  /// It has one item more. The first after it had none: what it did not use meanwhile is nobody's
  /// debt.
  void arrive(const std::string& run);
  /// It has one item less.
  void leave(const std::string& run);
  /// A lease begins.
  slot_use charge(const std::string& run, bool is_evaluation, std::int64_t now_ms);
  /// A lease that the record knows, begun before this process: charged from `now_ms` on.
  slot_use take_over(const std::string& run, std::int64_t now_ms);
  /// It has ended.
  void settle(const std::string& run, bool is_evaluation, const slot_use& use, std::int64_t now_ms);

  /// Whose turn is smaller is leased first; `overdue_ms` is by how much its leases, divided each by
  /// its weight, have outlasted what they were charged.
  struct turn {
    int priority = 0;
    double virtual_ms = 0;

    /// Before the other.
    bool operator<(const turn& other) const {
      if (priority != other.priority) return priority > other.priority;
      return virtual_ms < other.virtual_ms;
    }
  };
  turn turn_of(const std::string& run, double overdue_ms) const;

 private:
  /// Of leases that have ended; moves by a quarter towards each.
  struct mean_length {
    double ms = 60'000;
  };
  struct account {
    run_share share;
    int number = 0;         // of the run's
    double virtual_ms = 0;  // with what its leases that go on are charged
    int items = 0;          // that wait, or are leased
    // Of its leases that go on, each by its weight: how many, when they began, their charges.
    double rate = 0, since_ms = 0, charged_ms = 0;

    void add(const slot_use& use, double sign);
    /// By its weight, of slot time.
    double received_ms(std::int64_t now_ms) const;
    mean_length iterations, evaluations;
  };

  std::map<std::string, account> accounts_;  // by run
  // By priority: the most that a run had received when a lease of it began. No run that comes is
  // behind it. Charges are no part of it, since they may be taken back.
  std::map<int, double> now_at_;
};

/// By how much a lease that goes on has outlasted its charge, by weight.
double overdue_ms(const slot_use& use, std::int64_t now_ms);

}  // namespace germline::dispatch
