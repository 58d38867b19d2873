// account_journal: what an attempt's account comes to, written down before each request goes out
// and after each that ended, so that it survives the processes that know it. What it says was spent
// is never less than what went out: a request that is not settled in it counts by its bound. It is
// not the ledger, which is the coordinator's, and not the transcript.
//
// One file an attempt, DIRECTORY/ATTEMPT.account, of lines:
//
//   germline account 1 BOOT                                       the boot of the machine
//   total REQUESTS INPUT OUTPUT CACHE_WRITE CACHE_READ NANOUSD BY_BOUND   before what follows
//   reserve ID INPUT OUTPUT NANOUSD
//   settle ID INPUT OUTPUT CACHE_WRITE CACHE_READ NANOUSD
//   forfeit ID | release ID
//   more INPUT OUTPUT CACHE_WRITE CACHE_READ NANOUSD
//
// A last line without its end was torn off by a crash: it was not acted upon, and does not count.
// Whoever writes one holds it with flock, so that it is not read while its door is open. Nothing is
// synced to the disk: a journal of another boot, whose last lines may never have got there, is not
// believed. Bounded: past compact_bytes, and twice what that left, it is written anew as a total
// and what is open.
//
// An attempt begins with one that says nothing was spent (begin_account, by the node); the gateway
// puts its own in that one's place when it opens the door. Where one cannot be written it is
// removed, and the attempt is charged whole if it is lost: no journal is better than one that lies.
// Thread-compatible; one process writes one attempt's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/gateway/budget.hpp"

namespace germline::worker {

class account_journal {
 public:
  static constexpr std::size_t compact_bytes = 64 * 1024;

  /// Keeps nothing.
  account_journal() = default;
  /// Takes the attempt's journal over, with what it says so far. One that cannot be written is
  /// removed, and nothing is kept; it is an error where it cannot be removed either.
  static result<account_journal> open(const std::string& directory, const std::string& attempt_id,
                                      const std::string& boot_id);

  bool keeps() const { return static_cast<bool>(file_); }
  /// What `step` took, whose outcome is `after`; of a reserve before the request goes out. An error
  /// where it can neither be written nor the journal be removed: then nothing may go out.
  result<void> note(const budget_event& event, const budget_state& after);

 private:
  result<void> give_up(const error& why);
  result<void> remove();
  result<void> compact(const budget_state& after);

  std::string directory_, attempt_id_, boot_id_;
  unique_fd file_;
  bool stuck_ = false;  // it can neither be written nor removed; held meanwhile
  std::size_t bytes_ = 0;
  std::size_t compacted_bytes_ = 0;  // when it was last written anew
  gateway_usage before_;             // of the total that it began with: no `budget_state` has it
};

/// The node's: the attempt has begun here and spent nothing. Held until the returned descriptor is
/// closed, or a gateway opens it.
result<unique_fd> begin_account(const std::string& directory, const std::string& attempt_id,
                                const std::string& boot_id);

/// What the text of a journal says. What is open in it counts by its bound.
result<gateway_usage> parse_account(std::string_view text, std::string_view boot_id);

struct told_account {
  std::string attempt_id;
  gateway_usage usage;
};
/// The accounts whose doors are closed, at most `most`, in the order of their names. Those that are
/// not to be believed are removed.
result<std::vector<told_account>> read_accounts(const std::string& directory,
                                                const std::string& boot_id, std::size_t most);
/// They were told, and are no more needed.
void forget_account(const std::string& directory, const std::string& attempt_id);

/// Of this boot of the machine.
result<std::string> read_boot_id();

}  // namespace germline::worker
