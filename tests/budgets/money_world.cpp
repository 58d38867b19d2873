#include "tests/budgets/money_world.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/assert.hpp"

namespace germline::tests {
namespace {

constexpr std::int64_t dollar = 1'000'000'000;
constexpr std::size_t workers = 3;

std::string path_of(const std::string& disk, const std::string& attempt) {
  return disk + "/" + attempt + ".account";
}

std::uintmax_t size_of(const std::string& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  return failed ? 0 : size;
}

}  // namespace

std::int64_t money_world::truth::account() const {
  auto sum = accountable;
  for (const auto& [id, each] : open) sum += each.bound.cost_nanousd;
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
  GERMLINE_ASSERT(record_->set_budget({{}, {}, {fleet, one_in(2)}, time_.utc_ms()}));
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
  run.budget_nanousd = static_cast<std::int64_t>(1 + below(8)) * dollar / 2;
  if (one_in(2)) run.lineage_budget_nanousd = 1 + static_cast<std::int64_t>(below(dollar));
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
  is.slice = given->limits().budget_nanousd();
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
      limits.budget_nanousd = attempts_.at(id).slice;
      limits.max_requests = limits.max_requests_per_minute = 1'000'000;
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
  const auto most = static_cast<std::uint64_t>(is.slice / 2 + 2);
  const auto bound = static_cast<std::int64_t>(below(most));
  const worker::reserve_event asked{
      at.next_id++, {static_cast<std::int64_t>(below(100)), 50, bound}, time_.boot_ms()};
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
  const auto cost =
      one_in(4) ? bound : static_cast<std::int64_t>(below(static_cast<std::uint64_t>(bound) + 1));
  is.open[asked.id] = {asked.bound, cost};
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
  std::int64_t billed = 0, accountable = 0;
  if (one_in(8)) {  // the upstream refused it
    event = worker::release_event{request_id};
  } else if (one_in(8)) {  // nobody knows how it ended
    event = worker::forfeit_event{request_id};
    billed = asked.cost;
    accountable = asked.bound.cost_nanousd;
  } else {
    event = worker::settle_event{request_id, {1, 1}, asked.cost};
    billed = accountable = asked.cost;
  }
  worker::step(at.budget, event);
  const auto path = path_of(on.disk->path(), id);
  const auto before = size_of(path);
  if (one_in(40)) {
    ++happened["died before a settle"];
    is.billed += billed;
    is.accountable += asked.bound.cost_nanousd;
    is.open.erase(request_id);
    return crash_gateway(on);
  }
  GERMLINE_ASSERT(at.journal.note(event, at.budget) && at.journal.keeps());
  const bool tears = size_of(path) > before && one_in(40);
  is.billed += billed;
  is.accountable += tears ? asked.bound.cost_nanousd : accountable;
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
      is.billed += each.cost;
      is.accountable += each.bound.cost_nanousd;
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
    is.billed += each.cost;
    is.accountable += each.bound.cost_nanousd;
  }
  is.open.clear();
}

void money_world::lose_attempt(const std::string& attempt, std::optional<std::int64_t> cost) {
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
  const auto used = here->second.open ? here->second.open->budget.settled.cost_nanousd : 0;
  on.attempts.erase(here);
  if (one_in(5)) return lose_attempt(id, std::nullopt);  // what it said got lost
  if (one_in(3)) return lose_attempt(id, used);
  records::iteration_end end;
  v1::Usage usage;
  usage.set_cost_nanousd(used);
  end.judged = {of.state.live,
                *attempt_id::parse(id),
                of.fence,
                lineage::ending::stalled,
                "",
                "",
                "",
                "c",
                usage,
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
    told.accounts.push_back({each.attempt_id, each.usage.cost_nanousd});
    auto& is = attempts_.at(each.attempt_id);
    if (is.worker == worker && is.is_settled && !is.told) is.is_corrected = true;
  }
  const auto taken = record_->reconcile(told);
  GERMLINE_ASSERT(taken);
  if (taken->given_back_nanousd > 0) ++happened["given back"];
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
  const auto more = [this] { return static_cast<std::int64_t>(below(dollar)); };
  if (one_in(2)) {
    const auto& fleet = all.fleet();
    const auto least = fleet.spent_nanousd() + fleet.held_nanousd();
    GERMLINE_ASSERT(record_->set_budget({{}, {}, {least + more(), fleet.per_day()}, 1}));
  } else {
    const auto& run = all.runs(static_cast<int>(below(2)));
    const auto least = run.spent_nanousd() + run.held_nanousd();
    GERMLINE_ASSERT(record_->set_budget({*run_id::parse(run.id()), {}, {least + more() + 1}, 1}));
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
    const bool is_known = is.told || is.is_corrected;
    if (is.worker != on.name || is_known) tell(on.name, {{chosen->first, {}}}, nullptr);
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
  const auto passes = [](const v1::Purse& of) {
    return of.has_budget_nanousd() && of.spent_nanousd() + of.held_nanousd() > of.budget_nanousd();
  };
  const auto words = [](const v1::Purse& of) { return " (" + of.ShortDebugString() + ")"; };
  if (passes(all.fleet())) return "the fleet's budget is passed" + words(all.fleet());
  std::int64_t in_all = 0;
  for (const auto& run : all.runs()) {
    in_all += run.spent_nanousd();
    if (passes(run)) return "a run's budget is passed" + words(run);
    std::int64_t billed = 0;
    for (const auto& [id, is] : attempts_) {
      if (runs_[is.run].id.str() == run.id()) billed += is.billed;
    }
    if (run.spent_nanousd() + run.held_nanousd() < billed) {
      return "the upstream billed " + std::to_string(billed) + " to a run" + words(run);
    }
    const auto of_run = reader_->budgets(
        resolved_target{resolved_target::kind::run, run.id(), run.id()}, time_.utc_ms());
    std::int64_t of_lineages = 0;
    for (const auto& each : of_run->lineages()) {
      of_lineages += each.spent_nanousd();
      if (passes(each)) return "a lineage's budget is passed" + words(each);
    }
    if (of_lineages != run.spent_nanousd())
      return "the lineages' sum is not the run's" + words(run);
  }
  if (in_all != all.fleet().spent_in_all_nanousd()) return "the runs' sum is not the fleet's";
  SQLite::Database db(folder_.path() + "/record.sqlite", SQLite::OPEN_READONLY);
  const auto ledger = db.execAndGet("SELECT COALESCE(SUM(nanousd), 0) FROM ledger").getInt64();
  if (ledger != in_all) return "the ledger's sum is not the runs'";
  SQLite::Statement row(db, "SELECT id, cost_nanousd, settled, reserved_nanousd FROM attempts");
  while (row.executeStep()) {
    const auto found = attempts_.find(row.getColumn(0).getString());
    if (found == attempts_.end()) continue;
    const auto booked = row.getColumn(row.getColumn(2).getInt() != 0 ? 1 : 3).getInt64();
    if (booked < found->second.billed) return found->first + " is charged less than was billed";
  }
  return {};
}

std::string money_world::why_wrong_at_end() {
  if (auto wrong = why_wrong(); !wrong.empty()) return wrong;
  if (budgets().fleet().held_nanousd() != 0) return "something is still held";
  std::int64_t charged = 0, exact = 0;
  SQLite::Database db(folder_.path() + "/record.sqlite", SQLite::OPEN_READONLY);
  SQLite::Statement row(db, "SELECT id, cost_nanousd, settled FROM attempts");
  while (row.executeStep()) {
    const auto found = attempts_.find(row.getColumn(0).getString());
    if (found == attempts_.end()) continue;  // of a founding
    const auto& [id, is] = *found;
    const auto cost = row.getColumn(1).getInt64();
    charged += cost;
    exact += is.account();
    if (row.getColumn(2).getInt() == 0) return id + " is not settled";
    if (is.told && cost != *is.told) return id + ": its end told another cost";
    if (is.told && cost != is.account()) return id + ": its end did not tell the truth";
    const bool may_be_whole = !is.told && is.journal_is_lost && cost == is.slice;
    if (cost != is.account() && !may_be_whole) {
      return id + " is charged " + std::to_string(cost) + " of " + std::to_string(is.slice) +
             ", not " + std::to_string(is.account());
    }
  }
  if (!dangers_.journals_are_lost && charged != exact) return "money in is not money out";
  return {};
}

}  // namespace germline::tests
