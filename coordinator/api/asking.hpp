// asking: what the files of `people` share: how they ask an actor and wait for its answer, and how
// they tell what is wrong with a request. Blocks: for the server's handler threads, never an actor.
#pragma once

#include <caf/scoped_actor.hpp>
#include <caf/typed_actor.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "common/amount.hpp"
#include "common/result.hpp"
#include "coordinator/caf_error.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {

constexpr auto short_wait = std::chrono::seconds(20);

inline error invalid(const std::string& why) {
  return {error_code::invalid_argument, why};
}

/// Sends a request to an actor and waits for its answer.
template <class T, class Handle, class... Args>
result<T> ask(caf::actor_system& system, caf::timespan wait, const Handle& to, Args&&... args) {
  caf::scoped_actor self(system);
  std::optional<result<T>> answer;
  self->request(to, wait, std::forward<Args>(args)...)
      .receive([&](const T& value) { answer.emplace(value); },
               [&](const caf::error& failure) { answer.emplace(from_caf(failure)); });
  return std::move(*answer);
}

template <class Handle, class... Args>
result<void> tell(caf::actor_system& system, caf::timespan wait, const Handle& to, Args&&... args) {
  caf::scoped_actor self(system);
  result<void> answer;
  self->request(to, wait, std::forward<Args>(args)...)
      .receive([] {}, [&](const caf::error& failure) { answer = from_caf(failure); });
  return answer;
}

/// "a run", "a lineage".
inline std::string word(resolved_target::kind what) {
  switch (what) {
    case resolved_target::kind::run:
      return "a run";
    case resolved_target::kind::lineage:
      return "a lineage";
    case resolved_target::kind::generation:
      return "a generation";
    case resolved_target::kind::item:
      return "an iteration";
    case resolved_target::kind::attempt:
      return "an attempt";
  }
  return "something else";
}

/// A budget; sums of it over a whole record do not overflow.
inline result<void> check_not_too_large(unit of, std::int64_t budget) {
  constexpr std::int64_t most_count = 1'000'000'000'000'000;
  if (of == unit::money || budget <= most_count) return {};
  return invalid("a " + std::string(budget_word(of)) + " is at most " +
                 format_amount(of, most_count) + ", or none: not " + format_amount(of, budget));
}

/// The reason that a person gives.
inline result<void> check_why(const std::string& why) {
  constexpr std::size_t max_why_bytes = 4 * 1024;
  if (why.size() <= max_why_bytes) return {};
  return invalid("the reason (--why) has " + std::to_string(why.size()) + " bytes; it may have " +
                 std::to_string(max_why_bytes));
}

}  // namespace germline
