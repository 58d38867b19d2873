// agent_context: reads, compares and extends agent_context.json, whose bytes were written in a
// sandbox. The agent may fold the oldest entries into one summary entry, {"action": "summary",
// "summarizes": N, …} first in the history, where N counts the original entries that it stands for;
// anything else that the parent's history held must still be there, in order, before what is new.
// Unknown members survive.
// Pure; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline {

/// An entry of the context's history, written by the trusted side.
struct context_entry {
  std::string timestamp;  // ISO 8601
  std::string action;
  bool success = false;
  std::string details;
};

struct context_limits {
  std::int64_t bytes = 1 << 20;
  std::int64_t depth = 64;
};

/// What a context may have beyond the bound, for the entries that the trusted side appends: no
/// agent can fill its context up to the bound and thereby keep its iterations from being recorded.
inline constexpr std::int64_t context_reserve_bytes = 64 * 1024;
/// Members of one object. More would take the parser, which keeps their order, quadratic time.
inline constexpr std::int64_t context_members_max = 2'048;

/// Whether `text` is a context: JSON within the bounds, with "goalState" and well-formed "history".
/// The bound holds for the compact form without the history's entries, so that whatever is accepted
/// can be appended to; the text as a whole may have the reserve in addition.
result<void> check_context(std::string_view text, const context_limits& limits);

/// Whether `candidate` keeps all entries of `parent` (see above). Both must pass check_context; a
/// parent that does not has nothing to keep.
result<void> keeps_history(std::string_view parent, std::string_view candidate,
                           const context_limits& limits);

/// `base` with the entry appended: always, and such that check_context accepts it. It is indented
/// where that keeps the bound, else compact; the oldest entries are folded into a summary when it
/// would otherwise pass the bound. `base` may be anything: one that check_context would find too
/// large is cut to its goal and its history, and one that is no context is replaced by an empty
/// one; the entry then says so.
std::string append_entry(std::string_view base, const context_entry& entry,
                         const context_limits& limits);

/// The "action" of the last entry that `candidate` has beyond `parent`; empty when there is none.
std::string last_new_action(std::string_view parent, std::string_view candidate,
                            const context_limits& limits);

}  // namespace germline
