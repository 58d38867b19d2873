// fair_shares: whose turn it is where several runs want the slots of a worker. Of the runs with
// work that it can do, those of the highest priority; among these the one whose virtual time, slot
// time by weight, is the smallest. A lease is charged its run's mean when it begins, and what it
// took when it ends; one that outlasts its charge is charged more while it goes on. Start-time fair
// queueing, for each worker by itself: P. Goyal, H. M. Vin, H. Cheng, SIGCOMM 1996; with several
// slots as W. Jin, J. S. Chase, J. Kaur, SIGMETRICS 2004 (SFQ(D)); charging before the length is
// known and correcting it after, as C. A. Waldspurger and W. E. Weihl do for partial quanta (MIT
// LCS TM-528, 1995). A plain value: part of dispatch_state, and held by the dispatcher alone.
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

/// What one lease is charged, so far.
struct slot_use {
  std::int64_t since_ms = 0;
  double charged_ms = 0;
  int weight = 1;      // when it began
  int number = 0;      // of the run's accounts; each other priority has new ones
  bool whole = false;  // it began in this process
};

class fair_shares {
 public:
  /// Of a run that is not known yet.
  void learn(const std::string& run, const run_share& share);
  /// Also of one that is not known. Another priority begins with none of what was used at the
  /// former.
  void set(const std::string& run, const run_share& share);
  run_share of(const std::string& run) const;

  /// One more of its items waits, or is about to. If none did, what it did not use meanwhile is
  /// nobody's debt, but for what it may be behind by one lease of another: a run with few lineages
  /// has nothing that waits while they are leased.
  void enqueue(const std::string& run);
  /// One waits less, without being leased.
  void dequeue(const std::string& run);
  /// One that waited is leased.
  slot_use charge(const std::string& run, const std::string& worker, bool is_evaluation,
                  std::int64_t now_ms);
  /// A lease that the record knows, begun before this process: charged from `now_ms` on.
  slot_use take_over(const std::string& run, const std::string& worker, std::int64_t now_ms);
  /// It goes on.
  void renew(const std::string& run, const std::string& worker, slot_use& use, std::int64_t now_ms);
  /// It has ended. Only by one that did its work is learnt how long they take.
  void settle(const std::string& run, const std::string& worker, const slot_use& use,
              std::int64_t now_ms);
  void learn_length(const std::string& run, bool is_evaluation, const slot_use& use,
                    std::int64_t now_ms);

  /// Whose turn is smaller is leased first.
  struct turn {
    int priority = 0;
    double virtual_ms = 0;

    /// Before the other.
    bool operator<(const turn& other) const {
      if (priority != other.priority) return priority > other.priority;
      return virtual_ms < other.virtual_ms;
    }
  };
  turn turn_of(const std::string& run, const std::string& worker) const;

 private:
  struct account {
    double virtual_ms = 0;  // with what its leases that go on are charged
    // Of its leases that go on, each by its weight: how many, when they began, their charges.
    double rate = 0, since_ms = 0, charged_ms = 0;

    void add(const slot_use& use, double sign);
    /// By its weight, of slot time.
    double received_ms(std::int64_t now_ms) const;
  };
  /// Of leases that have ended; moves by a quarter towards the newest.
  struct mean_length {
    double ms = 60'000;
    bool is_known = false;  // else it is a guess
  };
  struct entry {
    run_share share;
    int number = 0;                           // of its accounts
    int waiting = 0;                          // items
    std::map<std::string, account> accounts;  // by worker
    mean_length iterations, evaluations;
  };

  account& account_of(entry& its, const std::string& worker);
  /// What a run that comes has on a worker: as much as the one had that was leased last.
  double now_at(int priority, const std::string& worker) const;
  /// By how much a run that is served by its weight may be behind another on a worker.
  double slack_ms(int priority, const std::string& worker) const;

  std::map<std::string, entry> runs_;
  // By worker and priority: the most that a run had received when a lease of it began. Charges are
  // no part of it, since they may be taken back.
  std::map<std::string, std::map<int, double>> now_at_;
};

}  // namespace germline::dispatch
