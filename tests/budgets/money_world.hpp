// money_world: a coordinator's record, workers with gateways, and an upstream that bills, in one
// process: what is real of it is the store (SQLite on disk), the budget's step function and the
// gateway's journals. What the upstream billed, of money, tokens and requests, is counted beside
// them, and compared. Everything is drawn from one random seed. For tests; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/amount.hpp"
#include "common/clock.hpp"
#include "common/random.hpp"
#include "coordinator/store/reader.hpp"
#include "coordinator/store/store.hpp"
#include "tests/support/temp_dir.hpp"
#include "worker/gateway/account_journal.hpp"

namespace germline::tests {

/// What may happen besides.
struct money_dangers {
  bool journals_are_lost = false;  // disks die and machines boot again
};

class money_world {
 public:
  money_world(std::uint64_t random_seed, money_dangers dangers);

  /// One thing happens.
  void step();
  /// Everything ends, every worker comes back, and tells.
  void end();
  /// Empty: at this moment all is as it must be.
  std::string why_wrong();
  /// The same of the end, where each attempt is charged exactly what it must be.
  std::string why_wrong_at_end();
  /// How often what was worth testing happened.
  std::map<std::string, int> happened;

 private:
  struct request {
    worker::request_bound bound;
    worker::token_counts tokens;  // that the upstream bills
    std::int64_t cost = 0;
    amount most() const;    // by its bound, but for itself: that was counted when it went out
    amount billed() const;  // the same
  };
  /// What is true of an attempt, whoever knows it.
  struct truth {
    std::string worker;
    std::size_t run = 0;
    per_unit<std::optional<std::int64_t>> slice;  // none: it is not bounded in it
    amount billed;                                // by the upstream, for certain
    amount accountable;                           // and by the bound, where nobody can know
    std::map<std::uint64_t, request> open;
    std::optional<amount> told;  // by its end
    bool journal_is_lost = false;
    bool is_settled = false;    // as the record was told
    bool is_corrected = false;  // by its worker's journal
    amount account() const;
    bool is_known() const { return told || is_corrected; }
  };
  /// A door of a gateway.
  struct door {
    worker::budget_state budget;
    worker::account_journal journal;
    std::uint64_t next_id = 1;
  };
  struct attempt_here {
    unique_fd begun;
    std::optional<door> open;  // none: not opened yet
  };
  struct machine {
    std::string name;
    std::unique_ptr<temp_dir> disk;
    int boots = 0;
    std::map<std::string, attempt_here> attempts;  // by id
    std::string boot_id() const { return name + "-" + std::to_string(boots); }
  };
  struct line {  // a lineage, with its live iteration
    std::size_t run = 0;
    lineage::state state;
    std::int64_t fence = 0;
    std::string attempt;  // empty: nobody has it
  };

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool one_in(std::uint64_t so_many) { return below(so_many) == 0; }
  void reopen();
  void found_run();
  void begin_iteration(line& of);
  void lease();
  void open_door();
  void ask();
  void answer();
  void crash_gateway(machine& on);
  void crash_worker(machine& on);
  void boot(machine& on);
  void lose_disk(machine& on);
  void close_door(machine& on, const std::string& attempt);
  void end_attempt();
  void lose_attempt(const std::string& attempt, const std::optional<amount>& cost);
  void tell_journals(machine& on);
  void tell(const std::string& worker, const std::vector<worker::told_account>& accounts,
            machine* of);
  void change_budgets();
  std::string why_wrong(unit of, const v1::Budgets& all);
  void tear(const std::string& path, std::size_t line_bytes);
  std::vector<std::string> doors();
  line* line_of(const std::string& attempt);
  machine& machine_of(const std::string& attempt);
  v1::Budgets budgets();

  seeded_random random_;
  money_dangers dangers_;
  manual_clock time_;
  temp_dir folder_;
  std::unique_ptr<store> record_;
  std::unique_ptr<record_reader> reader_;
  std::vector<records::new_run> runs_;
  std::vector<line> lines_;
  std::vector<machine> machines_;
  std::map<std::string, truth> attempts_;
  std::vector<std::pair<std::string, std::vector<worker::told_account>>> old_words_;
  std::set<std::pair<std::string, unit>> late_;  // runs that began without a budget of it
};

}  // namespace germline::tests
