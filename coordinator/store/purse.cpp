#include "coordinator/store/purse.hpp"

#include <algorithm>
#include <vector>

#include "common/unit_words.hpp"
#include "coordinator/store/records.hpp"
#include "coordinator/store/sql.hpp"

namespace germline {
namespace {

using sql::bind_all;
using sql::integer;

// What an iteration holds at least while so much is free for each lineage: one dollar, a few large
// requests' tokens, a hundred small requests.
const amount smallest_slice{1'000'000'000, 1'000'000, 100};

/// Whether an item of that kind may ask a model, or bears what is measured with one.
bool may_ask(v1::WorkKind kind, const purse& of) {
  const bool measures = of.each_evaluation.money > 0;
  return (kind == v1::WORK_KIND_EVALUATE && measures) ||
         (kind == v1::WORK_KIND_ITERATE && (of.agents_ask || measures));
}

std::int64_t held_where(SQLite::Database& db, const char* where, const std::string& value,
                        unit of) {
  SQLite::Statement held(db, "SELECT COALESCE(SUM(a." + column("reserved", of) +
                                 "), 0) FROM attempts a JOIN items i ON i.id = a.item_id WHERE"
                                 " a.settled = 0 AND " +
                                 where + " = ?");
  bind_all(held, value);
  held.executeStep();
  return integer(held, 0);
}

/// A purse in one unit.
struct counted {
  const purse& all;
  unit of;
  std::int64_t budget = all.budget[of];
  std::int64_t left = all.left(of);
  std::int64_t each_iteration = all.each_iteration[of];
  std::int64_t lineage_budget = all.lineage_budget[of];
  std::int64_t lineage_left = lineage_budget - all.lineage_spent[of];

  /// Exactly; where nothing was said of it what the run's limits allow. 0: candidates have no
  /// model.
  std::int64_t each_evaluation() const {
    if (all.each_evaluation.money == 0) return 0;
    return all.each_evaluation[of] > 0 ? all.each_evaluation[of] : each_iteration;
  }
  /// Of what one iteration bears.
  std::int64_t to_measure() const { return all.evaluations * each_evaluation(); }

  // For people.
  std::string words(std::int64_t value) const {
    return format_amount(of, std::max<std::int64_t>(0, value));
  }
  std::string budget_of(std::int64_t value) const { return "budget of " + words(value); }
  std::string run_words() const { return "the run's " + budget_of(budget); }
  std::string lineage_words() const { return "the lineage's " + budget_of(lineage_budget); }
  std::string to_raise(const std::string& whose) const {
    return "raise it with `germline budget " + whose + " " + std::string(words_of(of).argument) +
           "`";
  }
  std::string to_raise_lineage() const {
    return ": " + to_raise(all.lineage) + ", then `germline resume " + all.lineage + "`";
  }
  std::string to_raise_fleet() const { return to_raise("--fleet"); }
};

/// What is to be left to the evaluations that wait, and to those of what live iterations may bear,
/// and `more`: an iteration whose generation could not be measured is not worth what it takes. To
/// what measures again nothing is left before another that does.
std::int64_t kept_for_evaluations(SQLite::Database& db, const counted& in, int more) {
  const auto each = in.each_evaluation();
  if (each == 0) return 0;
  SQLite::Statement row(
      db,
      "SELECT COUNT(*) FILTER (WHERE i.kind = 3 AND NOT live), COUNT(*) FILTER (WHERE i.kind = 2"
      " AND live) FROM (SELECT i.kind, EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id AND"
      " a.settled = 0) AS live FROM items i WHERE i.run_id = ? AND i.ending = 0 AND NOT (? AND"
      " i.asked_by <> '')) i");
  bind_all(row, in.all.run, in.all.measures_again ? 1 : 0);
  row.executeStep();
  const auto waiting = integer(row, 0) + in.all.evaluations * (integer(row, 1) + more);
  return waiting > in.budget / each ? in.budget : waiting * each;
}

/// The same for evaluations of what the lineage bore, and of what its next iteration would bear.
/// No more than its budget.
std::int64_t kept_in_lineage(SQLite::Database& db, const counted& in) {
  const auto each = in.each_evaluation();
  if (each == 0) return 0;
  SQLite::Statement row(
      db,
      "SELECT COUNT(*) FROM items i WHERE i.lineage_id = ? AND i.ending = 0 AND i.kind = 3 AND NOT"
      " EXISTS (SELECT 1 FROM attempts a WHERE a.item_id = i.id AND a.settled = 0)");
  bind_all(row, in.all.lineage);
  row.executeStep();
  const auto waiting = integer(row, 0) + in.all.evaluations;
  return waiting > in.lineage_budget / each ? in.lineage_budget : waiting * each;
}

/// And of all runs. What a run keeps for them is no more than its budget.
std::int64_t kept_in_fleet(SQLite::Database& db, unit of) {
  SQLite::Statement row(
      db, "SELECT r.limits, r." + column("budget", of) + ", r." + column("evaluation_budget", of) +
              ", SUM(CASE WHEN i.kind = 3 AND NOT live THEN 1 WHEN i.kind = 2 AND live THEN"
              " r.evaluations ELSE 0 END) FROM (SELECT x.kind, x.run_id, EXISTS (SELECT 1 FROM"
              " attempts a WHERE a.item_id = x.id AND a.settled = 0) AS live FROM items x WHERE"
              " x.ending = 0) i JOIN runs r ON r.id = i.run_id WHERE r.evaluation_budget_nanousd"
              " > 0 GROUP BY r.id");
  std::int64_t kept = 0;
  while (row.executeStep()) {
    v1::IterationLimits limits;
    limits.ParseFromString(sql::bytes(row, 0));
    const auto budget = integer(row, 1);
    const auto told = integer(row, 2);
    const auto all = (told > 0 ? told : most_by_limits(limits)[of]) * integer(row, 3);
    kept += budget > 0 ? std::min(all, budget) : all;
  }
  return kept;
}

/// How many lineages an iteration of which may hold something next: of one run, or, where it is
/// empty, of all.
std::int64_t waiting_lineages(SQLite::Database& db, const std::string& run) {
  SQLite::Statement waiting(
      db,
      "SELECT COUNT(*) FROM lineages l WHERE (?1 = '' OR l.run_id = ?1) AND l.state = 1 AND NOT"
      " EXISTS (SELECT 1 FROM items i JOIN attempts a ON a.item_id = i.id WHERE i.lineage_id = l.id"
      " AND i.kind = 2 AND a.settled = 0)");
  bind_all(waiting, run);
  waiting.executeStep();
  return std::max<std::int64_t>(1, integer(waiting, 0));
}

/// What the next lease of an iteration may hold of what is free: a share that leaves room for the
/// other lineages and shrinks towards the end. At least 1 where something is free.
std::int64_t next_slice(std::int64_t free, std::int64_t shares, std::int64_t smallest) {
  const auto share = std::clamp<std::int64_t>(free / shares, free > 0 ? 1 : 0, smallest);
  return std::max(free / (2 * shares), share);
}

/// What is held now and may come free.
error held_now(const std::string& what) {
  return {error_code::permission_denied, what};
}

std::string fleet_words(const counted& in, const fleet_purse& fleet) {
  return "the fleet's " + in.budget_of(fleet.budget.value_or(0)) + (fleet.per_day ? " a day" : "");
}

/// That the fleet has no room for what needs `asked` of it, and keeps `kept` for others; none where
/// it has.
std::optional<error> no_room_in_fleet(const counted& in, const fleet_purse& fleet,
                                      std::int64_t asked, std::int64_t kept) {
  if (!fleet.budget) return std::nullopt;
  const auto left = *fleet.budget - fleet.spent;
  if (asked <= left - fleet.held - kept) return std::nullopt;
  const auto its = fleet_words(in, fleet);
  const auto needs = asked > 1 ? "; what is next needs " + in.words(asked) : std::string();
  if (asked <= left) {
    return held_now("other attempts, or evaluations, to end: " + its + " has " + in.words(left) +
                    " left, which they hold or is kept for them" + needs + "; " +
                    in.to_raise_fleet());
  }
  const auto is_spent =
      its + (left > 0 ? " has " + in.words(left) + " left" : " is spent") + needs + ": ";
  if (fleet.per_day && asked <= *fleet.budget) {
    return held_now("the next day, 00:00 UTC: " + is_spent + in.to_raise_fleet());
  }
  if (fleet.per_day) {
    const auto more = "more " + std::string(words_of(in.of).all) + " a day: ";
    return held_now(more + is_spent + in.to_raise_fleet());
  }
  return error(error_code::resource_exhausted,
               is_spent + in.to_raise_fleet() + ", then `germline resume` the lineages");
}

result<void> check_evaluation(SQLite::Database& db, const counted& in, std::int64_t now_ms) {
  const auto asked = in.each_evaluation();
  const auto costs = "an evaluation may " + std::string(words_of(in.of).take) + " " +
                     in.words(asked) + ", and of ";
  if (in.budget > 0) {
    const auto each = costs + in.words(in.budget) + " the run has ";
    if (in.left < asked) {
      return error(error_code::resource_exhausted,
                   each + in.words(in.left) + " left: " + in.to_raise(in.all.run));
    }
    const bool again = in.all.measures_again;
    const auto kept = again ? kept_for_evaluations(db, in, 0) : 0;
    const auto free =
        std::max<std::int64_t>(0, in.left - held_by_run(db, in.all.run, in.of) - kept);
    if (free < asked) {
      const auto* whom = again ? "other attempts, or evaluations," : "other attempts";
      return held_now(std::string(whom) + " to end: " + each + in.words(free) +
                      " that they do not hold" + (again ? ", or that is not kept for them" : "") +
                      "; " + in.to_raise(in.all.run));
    }
  }
  if (in.lineage_budget > 0) {
    const auto words = costs + in.words(in.lineage_budget) + " the lineage has ";
    if (in.lineage_left < asked) {
      return error(error_code::resource_exhausted,
                   words + in.words(in.lineage_left) + " left" + in.to_raise_lineage());
    }
    const auto loose = in.lineage_left - held_by_lineage(db, in.all.lineage, in.of);
    if (loose < asked) {
      return held_now("the lineage's other attempts to end: " + words + in.words(loose) +
                      " that they do not hold; " + in.to_raise(in.all.lineage));
    }
  }
  if (auto why = no_room_in_fleet(in, read_fleet_purse(db, in.of, now_ms), asked, 0)) return *why;
  return {};
}

/// Of what the lineage itself has; `least` is what an iteration holds at least.
result<std::int64_t> free_in_lineage(SQLite::Database& db, const counted& in, std::int64_t least) {
  const auto kept = kept_in_lineage(db, in);
  const auto free = in.lineage_left - held_by_lineage(db, in.all.lineage, in.of) - kept;
  if (free >= least) return free;
  if (in.lineage_left - in.to_measure() >= least) {
    return held_now("other attempts, or evaluations, to end: what is left of " +
                    in.lineage_words() + " is held by them or kept for them; " +
                    in.to_raise(in.all.lineage));
  }
  const auto why = in.each_evaluation() > 0
                       ? in.lineage_words() +
                             " does not cover an iteration and the evaluations of what it "
                             "would bear"
                       : in.lineage_words() + " is spent";
  return error(error_code::resource_exhausted, why + in.to_raise_lineage());
}

/// The same of what the run has.
result<std::int64_t> free_in_run(SQLite::Database& db, const counted& in, std::int64_t least) {
  const auto free = in.left - held_by_run(db, in.all.run, in.of) - kept_for_evaluations(db, in, 1);
  if (free >= least) return free;
  if (in.left - in.to_measure() >= least) {
    return held_now("other attempts, or evaluations, to end: what is left of " + in.run_words() +
                    " is held by them or kept for them; " + in.to_raise(in.all.run));
  }
  const auto why = in.each_evaluation() > 0
                       ? " does not cover an iteration and the evaluations of what it would bear"
                       : " is spent";
  return error(error_code::resource_exhausted, in.run_words() + why + ": " +
                                                   in.to_raise(in.all.run) +
                                                   ", then `germline resume` the lineage");
}

/// What bounds a slice most: its budget, and when it may have more.
struct narrowest {
  unit of = unit::money;
  std::optional<std::int64_t> most;  // none: nothing does
  std::string whose;                 // empty: no budget, but the iteration's own limits
  std::string to_raise;
  bool is_held = false;    // by others, in part
  std::string comes_with;  // a time at which there is more; empty: none

  void narrow(narrowest other) {
    if (!most || *other.most < *most) *this = std::move(other);
  }
};

/// Which unit's slice kept back the newest request of an iteration that used so much: as its worker
/// says. One of an older version does not say: then it may have been either of two. Never one of
/// requests: that is one at least.
std::vector<unit> may_have_refused(const std::string& usage_bytes) {
  v1::Usage usage;
  usage.ParseFromString(usage_bytes);
  switch (usage.refused_unit()) {
    case v1::BUDGET_UNIT_MONEY:
      return {unit::money};
    case v1::BUDGET_UNIT_TOKENS:
      return {unit::tokens};
    case v1::BUDGET_UNIT_REQUESTS:
    case v1::BUDGET_UNIT_NONE:
      return {};
    default:
      return {unit::money, unit::tokens};
  }
}

/// That the slice covers no request of the lineage's agent: its last iteration held no less, and
/// could not ask for anything. Others would end so, one after the other, for good. Of money or of
/// tokens: a slice of requests is one at least, and never kept the first of them back.
std::optional<error> too_little(SQLite::Database& db, const purse& of,
                                const std::vector<narrowest>& bounds) {
  if (!of.agents_ask) return std::nullopt;
  SQLite::Statement last(
      db,
      "SELECT i.ending = 4 AND i.reason = 'budget' AND a.cost_nanousd = 0 AND a.cost_tokens = 0,"
      " a.reserved_nanousd, a.reserved_tokens, i.usage FROM items i JOIN attempts a ON"
      " a.item_id = i.id AND a.state = 3 WHERE i.lineage_id = ? AND i.kind = 2 AND i.ending <> 0"
      " ORDER BY i.rowid DESC LIMIT 1");
  bind_all(last, of.lineage);
  if (!last.executeStep() || integer(last, 0) == 0) return std::nullopt;
  const auto refusing = may_have_refused(sql::bytes(last, 3));
  const auto held_of = [](unit each) { return 1 + static_cast<int>(each); };
  for (const auto each : refusing) {
    // Its own limit of money may have kept it, and no budget then.
    const auto bound = std::ranges::find(bounds, each, &narrowest::of);
    const bool is_own = bound != bounds.end() && bound->whose.empty();
    if (each == unit::money && is_own) return std::nullopt;
  }
  // With more of what kept it, it may go on.
  for (const auto each : refusing) {
    const int held = held_of(each);
    if (last.isColumnNull(held)) continue;
    const auto now = std::ranges::find(bounds, each, &narrowest::of);
    if (now == bounds.end() || *now->most > integer(last, held)) return std::nullopt;
  }
  std::string why;
  std::string comes_with;
  bool is_held = false;
  for (const auto& each : bounds) {
    const int held = held_of(each.of);
    const bool is_blamed = std::ranges::find(refusing, each.of) != refusing.end();
    if (!is_blamed || each.whose.empty() || last.isColumnNull(held)) continue;
    why += (why.empty() ? "of " : "; or of ") + each.whose + " an iteration would have " +
           format_amount(each.of, *each.most) + ", and with " +
           format_amount(each.of, integer(last, held)) +
           " the last one could not ask its model for anything; " + each.to_raise;
    is_held = is_held || each.is_held;
    if (comes_with.empty()) comes_with = each.comes_with;
  }
  if (why.empty()) return std::nullopt;
  if (is_held) return held_now("other attempts to end: " + why);
  if (!comes_with.empty()) return held_now(comes_with + ": " + why);
  return error(error_code::resource_exhausted, why + ", then `germline resume` the lineage");
}

result<narrowest> bound_iteration(SQLite::Database& db, const counted& in, std::int64_t now_ms) {
  const std::int64_t least = in.all.agents_ask ? 1 : 0;
  const auto smallest = smallest_slice[in.of];
  narrowest out{in.of, {}, "", "", false, ""};
  if (in.each_iteration > 0) out.most = in.each_iteration;
  if (in.budget > 0) {
    // A nano-dollar is nothing, nor is a token: where not even that is left for each lineage, it is
    // the end. A request is something.
    const auto shares = waiting_lineages(db, in.all.run);
    const auto each = in.of == unit::requests ? 1 : shares;
    GERMLINE_TRY_ASSIGN(const auto free, free_in_run(db, in, least * each));
    const auto share = next_slice(free, shares, smallest);
    out.narrow({in.of, share, in.run_words(), in.to_raise(in.all.run),
                held_by_run(db, in.all.run, in.of) > 0, ""});
  }
  if (in.lineage_budget > 0) {
    GERMLINE_TRY_ASSIGN(const auto own, free_in_lineage(db, in, least));
    out.narrow({in.of, own, in.lineage_words(), in.to_raise(in.all.lineage),
                held_by_lineage(db, in.all.lineage, in.of) > 0, ""});
  }
  const auto fleet = read_fleet_purse(db, in.of, now_ms);
  if (fleet.budget) {
    // What it would bear is to be measured, as what others bore and would bear.
    const auto kept = kept_in_fleet(db, in.of);
    if (auto why = no_room_in_fleet(in, fleet, least + in.to_measure(), kept)) return *why;
    const auto in_all = *fleet.budget - fleet.spent - fleet.held - kept - in.to_measure();
    const auto share = next_slice(in_all, waiting_lineages(db, ""), smallest);
    out.narrow({in.of, share, fleet_words(in, fleet), in.to_raise_fleet(), fleet.held > 0,
                fleet.per_day ? "the next day, 00:00 UTC" : ""});
  }
  if (!in.all.agents_ask) out.most = 0;
  return out;
}

/// Whether somebody has a budget of it. Money is always bounded.
bool is_bounded(SQLite::Database& db, const counted& in, std::int64_t now_ms) {
  return in.of == unit::money || in.budget > 0 || in.lineage_budget > 0 ||
         read_fleet_purse(db, in.of, now_ms).budget.has_value();
}

}  // namespace

std::string column(const std::string& begins, unit of) {
  return begins + (of == unit::money ? "_nanousd" : of == unit::tokens ? "_tokens" : "_requests");
}

amount most_by_limits(const v1::IterationLimits& limits) {
  const auto or_else = [](std::int64_t said, std::int64_t other, std::int64_t most) {
    return std::min(said > 0 ? said : other, most);
  };
  const auto& most = records::most_of_an_attempt;
  return {limits.budget_nanousd(),
          default_max_input_tokens + or_else(limits.max_output_tokens(), default_max_output_tokens,
                                             most.tokens - default_max_input_tokens),
          or_else(limits.max_requests(), default_max_requests, most.requests)};
}

std::int64_t held_by_run(SQLite::Database& db, const std::string& run, unit of) {
  return held_where(db, "i.run_id", run, of);
}
std::int64_t held_by_lineage(SQLite::Database& db, const std::string& lineage, unit of) {
  return held_where(db, "i.lineage_id", lineage, of);
}

fleet_purse read_fleet_purse(SQLite::Database& db, unit of, std::int64_t now_ms) {
  fleet_purse out;
  const auto spent = "(SELECT COALESCE(SUM(" + column("spent", of) + "), 0) FROM fleet_days";
  SQLite::Statement row(db, "SELECT " + column("budget", of) + ", " + column("per_day", of) + ", " +
                                spent + "), " + spent + " WHERE day = ?), (SELECT COALESCE(SUM(" +
                                column("reserved", of) +
                                "), 0) FROM attempts WHERE settled = 0) FROM fleet");
  bind_all(row, now_ms / day_ms);
  row.executeStep();
  if (!row.isColumnNull(0)) out.budget = integer(row, 0);
  out.per_day = integer(row, 1) != 0;
  out.spent_in_all = integer(row, 2);
  out.spent = out.per_day ? integer(row, 3) : out.spent_in_all;
  out.held = integer(row, 4);
  return out;
}

result<slice> reserve(SQLite::Database& db, v1::WorkKind kind, const purse& of,
                      std::int64_t now_ms) {
  slice out{0, {}, {}};
  if (of.budget.money == 0) return out;
  if (!may_ask(kind, of)) return out;
  const bool evaluates = kind == v1::WORK_KIND_EVALUATE;
  std::vector<narrowest> bounds;
  for (const auto each : all_units) {
    const counted in{of, each};
    if (!is_bounded(db, in, now_ms)) {
      // What was said of an evaluation holds for all alike, so that their scores can be compared.
      if (evaluates && of.each_evaluation[each] > 0) out[each] = of.each_evaluation[each];
      continue;
    }
    if (evaluates) {
      GERMLINE_TRY(check_evaluation(db, in, now_ms));
      out[each] = in.each_evaluation();
      continue;
    }
    GERMLINE_TRY_ASSIGN(auto bound, bound_iteration(db, in, now_ms));
    out[each] = bound.most.value_or(0);
    bounds.push_back(std::move(bound));
  }
  if (!evaluates) {
    if (auto why = too_little(db, of, bounds)) return *why;
  }
  return out;
}

result<slice> reserve_again(SQLite::Database& db, v1::WorkKind kind, const slice& then,
                            const purse& of, std::int64_t now_ms) {
  auto out = then;
  for (const auto each : all_units) {
    const counted in{of, each};
    const auto fleet = read_fleet_purse(db, each, now_ms);
    if (!out[each] && fleet.budget && may_ask(kind, of)) {
      out[each] = kind == v1::WORK_KIND_EVALUATE ? in.each_evaluation()
                  : of.agents_ask                ? in.each_iteration
                                                 : 0;
    }
    const auto asked = out[each].value_or(0);
    if (asked == 0) continue;
    if (auto why = no_room_in_fleet(in, fleet, asked, 0)) return *why;
  }
  return out;
}

}  // namespace germline
