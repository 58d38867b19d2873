#include "tests/budgets/money_world.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/assert.hpp"
#include "coordinator/store/purse.hpp"
#include "worker/node/usage_of.hpp"

namespace germline::tests {
namespace {

constexpr std::int64_t dollar = 1'000'000'000;
constexpr std::size_t workers = 3;

std::string path_of(const std::string& disk, const std::string& attempt) {
  return disk + "/" + attempt + ".account";
}

void add(amount& to, const amount& more) {
  for (const auto of : all_units) to[of] += more[of];
}

/// Of a purse in one unit.
struct seen {
  std::optional<std::int64_t> budget;
  bool per_day = false;
  std::int64_t spent = 0, spent_in_all = 0, held = 0;
  bool passes() const { return budget && spent + held > *budget; }
};
seen look(const v1::Purse& purse, unit of) {
  seen out;
  if (of == unit::money) {
    if (purse.has_budget_nanousd()) out.budget = purse.budget_nanousd();
    out.per_day = purse.per_day();
    out.spent = purse.spent_nanousd();
    out.spent_in_all = purse.spent_in_all_nanousd();
    out.held = purse.held_nanousd();
    return out;
  }
  const auto& counted = of == unit::tokens ? purse.tokens() : purse.requests();
  if (counted.has_budget()) out.budget = counted.budget();
  return {out.budget, counted.per_day(), counted.spent(), counted.spent_in_all(), counted.held()};
}

amount amount_of(const worker::gateway_usage& used) {
  return records::cost_of(worker::usage_of(used));
}

std::uintmax_t size_of(const std::string& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  return failed ? 0 : size;
}

}  // namespace

amount money_world::request::most() const {
  return {bound.cost_nanousd, bound.input_tokens + bound.output_tokens, 0};
}

amount money_world::request::billed() const {
  return {cost, tokens.input + tokens.cache_write + tokens.cache_read + tokens.output, 0};
}

amount money_world::truth::account() const {
  auto sum = accountable;
  for (const auto& [id, each] : open) add(sum, each.most());
  return sum;
}

money_world::money_world(std::uint64_t random_seed, money_dangers dangers)
    : random_(random_seed), dangers_(dangers) {
  reopen();
  for (std::size_t i = 0; i < workers; ++i) {
    machines_.push_back({"w" + std::to_string(i), std::make_unique<temp_dir>(), 1, {}});
  }
  for (int i = 0; i < 2; ++i) found_run();
  const std::int64_t fleet = static_cast<std::int64_t>(1 + below(12)) * dollar / 2;
  records::budget_change change{{}, {}, records::spending_limit{fleet, one_in(2)}, 1};
  const auto draw = [&](std::uint64_t most) {
    return records::spending_limit{static_cast<std::int64_t>(1 + below(most)), one_in(2)};
  };
  if (one_in(2)) change.tokens = draw(4'000'000);
  if (one_in(2)) change.requests = draw(60);
  GERMLINE_ASSERT(record_->set_budget(change));
}

void money_world::reopen() {
  reader_.reset();
  record_.reset();
  const auto path = folder_.path() + "/record.sqlite";
  auto opened = store::open(path);
  GERMLINE_ASSERT(opened);
  record_ = std::move(*opened);
  auto reads = record_reader::open(path);
  GERMLINE_ASSERT(reads);
  reader_ = std::move(*reads);
}

void money_world::found_run() {
  records::new_run run;
  run.id = run_id::make(time_, random_);
  run.name = "r" + std::to_string(runs_.size());
  run.model = "m";
  run.seed_commit = std::string(40, '1');
  run.genome_toml = "schema = 1\n";
  const auto draw = [this](std::uint64_t most) {
    return static_cast<std::int64_t>(1 + below(most));
  };
  run.budget.money = draw(8) * dollar / 2;
  if (!one_in(3)) run.budget.tokens = draw(8'000'000);
  if (!one_in(3)) run.budget.requests = draw(200);
  if (one_in(2)) run.lineage_budget.money = draw(dollar);
  if (one_in(2)) run.lineage_budget.tokens = draw(1'000'000);
  if (one_in(2)) run.lineage_budget.requests = draw(60);
  run.found_item = item_id::make(time_, random_);
  for (int i = 0; i < 3; ++i) run.lineages.push_back(lineage_id::make(time_, random_));
  GERMLINE_ASSERT(record_->create_run(run));
  const auto attempt = attempt_id::make(time_, random_);
  GERMLINE_ASSERT(record_->grant({run.found_item, attempt, 1, "w0", time_.utc_ms()}));
  records::seed_end end;
  end.run = run.id;
  end.judged = {run.found_item, attempt, 1, lineage::ending::evolved, "", "", "", "", {}, {}, 5};
  end.born = records::birth{
      generation_id::make(time_, random_), {}, 0, 0, std::string(40, '2'), "src", "bld", "art"};
  GERMLINE_ASSERT(record_->end_seed(end));
  for (const auto& id : run.lineages) {
    line fresh;
    fresh.run = runs_.size();
    fresh.state.id = id;
    fresh.state.head_generation = end.born->id;
    fresh.state.head_commit = run.seed_commit;
    GERMLINE_ASSERT(record_->save_lineage(fresh.state, time_.utc_ms()));
    begin_iteration(fresh);
    lines_.push_back(std::move(fresh));
  }
  runs_.push_back(std::move(run));
}

void money_world::begin_iteration(line& of) {
  of.state.live = item_id::make(time_, random_);
  of.fence = 0;
  of.attempt.clear();
  GERMLINE_ASSERT(record_->begin_iteration({of.state.live, of.state, time_.utc_ms(), {}, {}, {}}));
}

void money_world::lease() {
  auto& of = lines_[below(lines_.size())];
  if (!of.attempt.empty()) return;
  auto& on = machines_[below(machines_.size())];
  const auto attempt = attempt_id::make(time_, random_);
  const auto given = record_->grant({of.state.live, attempt, ++of.fence, on.name, time_.utc_ms()});
  if (!given) {
    const auto code = given.error().code();
    GERMLINE_ASSERT(code == error_code::resource_exhausted ||
                    code == error_code::permission_denied);
    ++happened["lease refused"];
    return;
  }
  of.attempt = attempt.str();
  truth is;
  is.worker = on.name;
  is.run = of.run;
  is.slice.money = given->limits().budget_nanousd();
  if (given->limits().max_tokens() > 0) is.slice.tokens = given->limits().max_tokens();
  if (given->limits().max_requests() > 0) is.slice.requests = given->limits().max_requests();
  if (!is.slice.tokens) ++happened["lease without tokens"];
  attempts_[of.attempt] = is;
  auto begun = worker::begin_account(on.disk->path(), of.attempt, on.boot_id());
  GERMLINE_ASSERT(begun);
  on.attempts[of.attempt] = {std::move(*begun), std::nullopt};
  ++happened["lease"];
}

void money_world::open_door() {
  for (auto& on : machines_) {
    for (auto& [id, here] : on.attempts) {
      if (here.open || one_in(2)) continue;
      auto journal = worker::account_journal::open(on.disk->path(), id, on.boot_id());
      GERMLINE_ASSERT(journal && journal->keeps());
      here.open.emplace();
      here.open->journal = std::move(*journal);
      auto& limits = here.open->budget.limits;
      const auto& slice = attempts_.at(id).slice;
      limits.budget_nanousd = *slice.money;
      limits.max_tokens = slice.tokens.value_or(limits.max_tokens);
      limits.max_requests_per_minute = 1'000'000;
      limits.max_requests = slice.requests.value_or(1'000'000);
      return;
    }
  }
}

std::vector<std::string> money_world::doors() {
  std::vector<std::string> open;
  for (const auto& on : machines_) {
    for (const auto& [id, here] : on.attempts) {
      if (here.open) open.push_back(id);
    }
  }
  return open;
}

money_world::machine& money_world::machine_of(const std::string& attempt) {
  const auto& name = attempts_.at(attempt).worker;
  return *std::ranges::find(machines_, name, &machine::name);
}

money_world::line* money_world::line_of(const std::string& attempt) {
  const auto found = std::ranges::find(lines_, attempt, &line::attempt);
  return found == lines_.end() ? nullptr : &*found;
}

void money_world::tear(const std::string& path, std::size_t line_bytes) {
  const auto size = size_of(path);
  GERMLINE_ASSERT(line_bytes > 0 && size >= line_bytes);
  std::filesystem::resize_file(path, size - 1 - below(line_bytes));
}

void money_world::ask() {
  const auto open = doors();
  if (open.empty()) return;
  const auto id = open[below(open.size())];
  auto& on = machine_of(id);
  auto& at = *on.attempts.at(id).open;
  auto& is = attempts_.at(id);
  const auto draw = [this](std::int64_t most) {
    return static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most) + 1));
  };
  const auto bound = draw(*is.slice.money / 2 + 1);
  const auto tokens = is.slice.tokens.value_or(100'000);
  const worker::reserve_event asked{
      at.next_id++, {draw(tokens / 3), draw(tokens / 6), bound}, time_.boot_ms()};
  if (!std::holds_alternative<worker::granted_effect>(worker::step(at.budget, asked))) {
    ++happened["request refused"];
    return;
  }
  const auto path = path_of(on.disk->path(), id);
  const auto before = size_of(path);
  if (one_in(40)) {  // it dies before it has written a word of it, so nothing went out
    ++happened["died before a reserve"];
    return crash_gateway(on);
  }
  GERMLINE_ASSERT(at.journal.note(asked, at.budget) && at.journal.keeps());
  if (size_of(path) > before && one_in(40)) {  // or in the middle of the line
    const auto line_bytes = static_cast<std::size_t>(size_of(path) - before);
    ++happened["tore a reserve"];
    crash_gateway(on);
    return tear(path, line_bytes);
  }
  worker::token_counts used{asked.bound.input_tokens, asked.bound.output_tokens};
  if (!one_in(4)) {
    const auto input = draw(used.input);
    used = {draw(input / 3), draw(used.output), draw(input / 3), 0, draw(input / 3)};
  }
  is.open[asked.id] = {asked.bound, used, one_in(4) ? bound : draw(bound)};
  ++is.billed.requests;
  ++is.accountable.requests;
  ++happened["request"];
}

void money_world::answer() {
  const auto open = doors();
  if (open.empty()) return;
  const auto id = open[below(open.size())];
  auto& on = machine_of(id);
  auto& at = *on.attempts.at(id).open;
  auto& is = attempts_.at(id);
  if (is.open.empty()) return;
  auto chosen = is.open.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(below(is.open.size())));
  const auto [request_id, asked] = *chosen;
  worker::budget_event event;
  amount billed, accountable;
  if (one_in(8)) {  // the upstream refused it
    event = worker::release_event{request_id};
  } else if (one_in(8)) {  // nobody knows how it ended
    event = worker::forfeit_event{request_id};
    billed = asked.billed();
    accountable = asked.most();
  } else {
    event = worker::settle_event{request_id, asked.tokens, asked.cost};
    billed = accountable = asked.billed();
  }
  worker::step(at.budget, event);
  const auto path = path_of(on.disk->path(), id);
  const auto before = size_of(path);
  if (one_in(40)) {
    ++happened["died before a settle"];
    add(is.billed, billed);
    add(is.accountable, asked.most());
    is.open.erase(request_id);
    return crash_gateway(on);
  }
  GERMLINE_ASSERT(at.journal.note(event, at.budget) && at.journal.keeps());
  const bool tears = size_of(path) > before && one_in(40);
  add(is.billed, billed);
  add(is.accountable, tears ? asked.most() : accountable);
  is.open.erase(request_id);
  if (!tears) return;
  const auto line_bytes = static_cast<std::size_t>(size_of(path) - before);
  ++happened["tore a settle"];
  crash_gateway(on);
  tear(path, line_bytes);
}

/// With kill -9: nobody says a word. The worker cannot do without it, and ends with it.
void money_world::crash_gateway(machine& on) {
  for (auto& [id, here] : on.attempts) {
    auto& is = attempts_.at(id);
    for (const auto& [request_id, each] : is.open) {
      add(is.billed, each.billed());
      add(is.accountable, each.most());
    }
    is.open.clear();
  }
  on.attempts.clear();
  ++happened["gateway died"];
}

/// The node dies: the gateway finds its socket ended, accounts for what is open, and ends.
void money_world::crash_worker(machine& on) {
  std::vector<std::string> ids;
  for (const auto& [id, here] : on.attempts) ids.push_back(id);
  for (const auto& id : ids) close_door(on, id);
  on.attempts.clear();
  ++happened["worker died"];
}

void money_world::boot(machine& on) {
  crash_gateway(on);
  ++on.boots;
  for (auto& [id, is] : attempts_) {
    if (is.worker == on.name) is.journal_is_lost = true;
  }
  ++happened["machine booted"];
}

void money_world::lose_disk(machine& on) {
  crash_gateway(on);
  on.disk = std::make_unique<temp_dir>();
  for (auto& [id, is] : attempts_) {
    if (is.worker == on.name) is.journal_is_lost = true;
  }
  ++happened["disk lost"];
}

/// As the gateway does it: what is open is charged by its bound.
void money_world::close_door(machine& on, const std::string& attempt) {
  auto& here = on.attempts.at(attempt);
  auto& is = attempts_.at(attempt);
  if (here.open) {
    auto& at = *here.open;
    while (!at.budget.open.empty()) {
      const worker::forfeit_event event{at.budget.open.begin()->first};
      worker::step(at.budget, event);
      GERMLINE_ASSERT(at.journal.note(event, at.budget));
    }
  }
  for (const auto& [id, each] : is.open) {
    add(is.billed, each.billed());
    add(is.accountable, each.most());
  }
  is.open.clear();
}

void money_world::lose_attempt(const std::string& attempt, const std::optional<amount>& cost) {
  auto& is = attempts_.at(attempt);
  const auto id = *attempt_id::parse(attempt);
  // As the dispatcher has it: of a lost attempt, or of a killed one.
  const records::attempt_loss loss{id, "gone", cost, true};
  GERMLINE_ASSERT(record_->lose(loss, time_.utc_ms()));
  if (!is.is_settled) {
    is.is_settled = true;
    is.told = cost;
  }
  if (one_in(4)) GERMLINE_ASSERT(record_->settle(loss, time_.utc_ms()));  // said twice
  if (auto* of = line_of(attempt)) of->attempt.clear();
  ++happened[cost ? "lost, and told" : "lost"];
}

void money_world::end_attempt() {
  auto& of = lines_[below(lines_.size())];
  if (of.attempt.empty()) return;
  const auto id = of.attempt;
  auto& on = machine_of(id);
  const auto here = on.attempts.find(id);
  if (here == on.attempts.end()) return lose_attempt(id, std::nullopt);  // its worker died
  if (one_in(5)) {  // its lease runs out, and it does not know it yet
    ++happened["out of reach"];
    return lose_attempt(id, std::nullopt);
  }
  close_door(on, id);
  const auto usage =
      here->second.open ? here->second.open->budget.settled : worker::gateway_usage{};
  const auto used = amount_of(usage);
  on.attempts.erase(here);
  if (one_in(5)) return lose_attempt(id, std::nullopt);  // what it said got lost
  if (one_in(3)) return lose_attempt(id, used);
  records::iteration_end end;
  end.judged = {of.state.live,
                *attempt_id::parse(id),
                of.fence,
                lineage::ending::stalled,
                "",
                "",
                "",
                "c",
                worker::usage_of(usage),
                {},
                time_.utc_ms()};
  end.next = of.state;
  end.next.live = {};
  GERMLINE_ASSERT(record_->end_iteration(end));
  auto& is = attempts_.at(id);
  is.is_settled = true;
  is.told = used;
  of.state = end.next;
  begin_iteration(of);
  ++happened["finished"];
}

void money_world::tell(const std::string& worker, const std::vector<worker::told_account>& accounts,
                       machine* of) {
  records::late_accounts told{worker, {}, time_.utc_ms()};
  for (const auto& each : accounts) {
    told.accounts.push_back({each.attempt_id, amount_of(each.usage)});
    auto& is = attempts_.at(each.attempt_id);
    if (is.worker == worker && is.is_settled && !is.told) is.is_corrected = true;
  }
  const auto taken = record_->reconcile(told);
  GERMLINE_ASSERT(taken);
  if (taken->given_back.money > 0) ++happened["given back"];
  if (taken->given_back.tokens > 0 && taken->given_back.requests > 0) {
    ++happened["tokens and requests given back"];
  }
  if (of == nullptr || one_in(4)) return;  // or it dies before it has forgotten them
  for (const auto& each : taken->attempts) worker::forget_account(of->disk->path(), each);
}

void money_world::tell_journals(machine& on) {
  const auto accounts = worker::read_accounts(on.disk->path(), on.boot_id(), 1 + below(8));
  GERMLINE_ASSERT(accounts);
  tell(on.name, *accounts, &on);
  if (!accounts->empty() && old_words_.size() < 64) old_words_.emplace_back(on.name, *accounts);
}

void money_world::change_budgets() {
  const auto all = budgets();
  const auto of = all_units[below(all_units.size())];
  const auto more = [&] {
    return static_cast<std::int64_t>(below(of == unit::money    ? dollar
                                           : of == unit::tokens ? 1'000'000
                                                                : 60));
  };
  const bool is_fleet = one_in(2);
  const auto& purse = is_fleet ? all.fleet() : all.runs(static_cast<int>(below(2)));
  const auto now = look(purse, of);
  if (is_fleet && !now.budget) return;
  const records::spending_limit limit{now.spent + now.held + more() + (is_fleet ? 0 : 1),
                                      now.per_day};
  records::budget_change change;
  if (!is_fleet) change.run = *run_id::parse(purse.id());
  (of == unit::money ? change.money : of == unit::tokens ? change.tokens : change.requests) = limit;
  GERMLINE_ASSERT(record_->set_budget(change));
  if (!now.budget) {
    late_.emplace(purse.id(), of);
    ++happened["budget introduced"];
  }
  ++happened["budget changed"];
}

void money_world::step() {
  if (one_in(3)) time_.advance(static_cast<std::int64_t>(below(4'000'000)));
  auto& on = machines_[below(machines_.size())];
  const auto draw = below(1'000);
  if (draw < 150) return lease();
  if (draw < 250) return open_door();
  if (draw < 500) return ask();
  if (draw < 720) return answer();
  if (draw < 820) return end_attempt();
  if (draw < 900) return tell_journals(on);
  if (draw < 915) return crash_gateway(on);
  if (draw < 930) return crash_worker(on);
  if (draw < 950) return reopen();
  if (draw < 965) return change_budgets();
  if (draw < 980 && !old_words_.empty()) {  // said again, by who said it or by another
    const auto& [worker, accounts] = old_words_[below(old_words_.size())];
    return tell(one_in(2) ? worker : on.name, accounts, nullptr);
  }
  if (draw < 990 && !attempts_.empty()) {
    // A worker lies about another's attempt, or about its own of which all is known.
    auto chosen = attempts_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(below(attempts_.size())));
    const auto& is = chosen->second;
    if (is.worker != on.name || is.is_known()) tell(on.name, {{chosen->first, {}}}, nullptr);
    return;
  }
  if (draw < 995 && dangers_.journals_are_lost) return one_in(2) ? boot(on) : lose_disk(on);
}

void money_world::end() {
  for (auto& on : machines_) one_in(2) ? crash_gateway(on) : crash_worker(on);
  for (auto& of : lines_) {
    if (!of.attempt.empty()) lose_attempt(of.attempt, std::nullopt);
  }
  reopen();
  for (auto& on : machines_) {
    for (;;) {
      const auto accounts = worker::read_accounts(on.disk->path(), on.boot_id(), 256);
      GERMLINE_ASSERT(accounts);
      if (accounts->empty()) break;
      tell(on.name, *accounts, &on);
    }
  }
}

v1::Budgets money_world::budgets() {
  auto told = reader_->budgets(std::nullopt, time_.utc_ms());
  GERMLINE_ASSERT(told);
  return *told;
}

std::string money_world::why_wrong() {
  const auto all = budgets();
  for (const auto of : all_units) {
    if (auto wrong = why_wrong(of, all); !wrong.empty()) return wrong;
  }
  return {};
}

std::string money_world::why_wrong(unit of, const v1::Budgets& all) {
  const auto words = [](const v1::Purse& purse) { return " (" + purse.ShortDebugString() + ")"; };
  const std::string in = " in " + std::string(budget_word(of));
  // What was bounded, or of which all is known, is charged no less than was billed.
  const auto is_counted = [of](const truth& is) { return is.slice[of] || is.is_known(); };
  if (look(all.fleet(), of).passes())
    return "the fleet's budget is passed" + in + words(all.fleet());
  std::int64_t in_all = 0;
  for (const auto& run : all.runs()) {
    const auto its = look(run, of);
    in_all += its.spent;
    const bool is_late = late_.contains({run.id(), of});
    if (its.passes() && !is_late) return "a run's budget is passed" + in + words(run);
    std::int64_t billed = 0;
    for (const auto& [id, is] : attempts_) {
      if (runs_[is.run].id.str() == run.id() && is_counted(is)) billed += is.billed[of];
    }
    if (its.spent + its.held < billed) {
      return "the upstream billed " + std::to_string(billed) + " to a run" + in + words(run);
    }
    const auto of_run = reader_->budgets(
        resolved_target{resolved_target::kind::run, run.id(), run.id()}, time_.utc_ms());
    std::int64_t of_lineages = 0;
    for (const auto& each : of_run->lineages()) {
      of_lineages += look(each, of).spent;
      if (look(each, of).passes()) return "a lineage's budget is passed" + in + words(each);
    }
    if (of_lineages != its.spent) return "the lineages' sum is not the run's" + in + words(run);
  }
  if (in_all != look(all.fleet(), of).spent_in_all) return "the runs' sum is not the fleet's" + in;
  SQLite::Database db(folder_.path() + "/record.sqlite", SQLite::OPEN_READONLY);
  const auto cost = column("cost", of);
  const auto ledger = db.execAndGet("SELECT COALESCE(SUM(" + cost + "), 0) FROM ledger").getInt64();
  if (ledger != in_all) return "the ledger's sum is not the runs'" + in;
  SQLite::Statement row(
      db, "SELECT id, " + cost + ", settled, " + column("reserved", of) + " FROM attempts");
  while (row.executeStep()) {
    const auto found = attempts_.find(row.getColumn(0).getString());
    if (found == attempts_.end() || !is_counted(found->second)) continue;
    const auto booked = row.getColumn(row.getColumn(2).getInt() != 0 ? 1 : 3).getInt64();
    if (booked < found->second.billed[of])
      return found->first + " is charged less than billed" + in;
  }
  return {};
}

std::string money_world::why_wrong_at_end() {
  if (auto wrong = why_wrong(); !wrong.empty()) return wrong;
  SQLite::Database db(folder_.path() + "/record.sqlite", SQLite::OPEN_READONLY);
  for (const auto of : all_units) {
    const std::string in = " in " + std::string(budget_word(of));
    if (look(budgets().fleet(), of).held != 0) return "something is still held" + in;
    std::int64_t charged = 0, exact = 0;
    SQLite::Statement row(db, "SELECT id, " + column("cost", of) + ", settled FROM attempts");
    while (row.executeStep()) {
      const auto found = attempts_.find(row.getColumn(0).getString());
      if (found == attempts_.end()) continue;  // of a founding
      const auto& [id, is] = *found;
      const auto cost = row.getColumn(1).getInt64();
      const auto account = is.account()[of];
      charged += cost;
      exact += account;
      if (row.getColumn(2).getInt() == 0) return id + " is not settled";
      if (is.told && cost != (*is.told)[of]) return id + ": its end told another cost" + in;
      if (is.told && cost != account) return id + ": its end did not tell the truth" + in;
      const bool may_be_whole = !is.told && is.journal_is_lost && cost == is.slice[of].value_or(0);
      if (cost != account && !may_be_whole) {
        return id + " is charged " + std::to_string(cost) + ", not " + std::to_string(account) + in;
      }
    }
    if (!dangers_.journals_are_lost && charged != exact)
      return "what is in is not what is out" + in;
  }
  return {};
}

}  // namespace germline::tests
