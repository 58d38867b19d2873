#include "worker/gateway/account_journal.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

constexpr std::string_view boot = "boot-1";

struct journal_fixture {
  std::string text() const {
    std::ifstream in(path());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& text) const { std::ofstream(path()) << text; }
  std::string path() const { return dir.path() + "/att_1.account"; }
  account_journal open() const {
    auto opened = account_journal::open(dir.path(), "att_1", std::string(boot));
    REQUIRE(opened);
    return std::move(*opened);
  }
  void note(account_journal& journal, const budget_event& event) {
    step(state, event);
    REQUIRE(journal.note(event, state));
  }
  gateway_usage told() const {
    const auto usage = parse_account(text(), boot);
    REQUIRE(usage);
    return *usage;
  }
  std::vector<told_account> read() const {
    const auto told = read_accounts(dir.path(), std::string(boot), 256);
    REQUIRE(told);
    return *told;
  }
  static budget_state limited() {
    budget_state state;
    state.limits.budget_nanousd = 1'000'000'000'000;
    state.limits.max_requests = state.limits.max_requests_per_minute = 1'000'000;
    state.limits.max_input_tokens = state.limits.max_output_tokens = 1'000'000'000;
    return state;
  }

  tests::temp_dir dir;
  budget_state state = limited();
};

}  // namespace

TEST_CASE_FIXTURE(journal_fixture, "what is settled counts by that, what is open by its bound") {
  auto journal = open();
  CHECK(journal.keeps());
  note(journal, reserve_event{1, {100, 50, 9'000}, 0});
  CHECK(told().cost_nanousd == 9'000);
  CHECK(told().input_tokens == 100);
  note(journal, reserve_event{2, {10, 5, 700}, 0});
  note(journal, settle_event{1, {80, 20, 3, 1, 7}, 4'000});
  CHECK(told().cost_nanousd == 4'700);
  CHECK(told().requests == 2);
  CHECK(told().cache_write_tokens == 3);
  CHECK(told().cache_read_tokens == 7);
  note(journal, release_event{2});
  note(journal, more_event{{5, -1, 0, 0, 0}, 11});
  CHECK(told().cost_nanousd == 4'011);
  CHECK(told().output_tokens == 19);
  note(journal, reserve_event{3, {10, 5, 700}, 0});
  note(journal, forfeit_event{3});
  CHECK(told().cost_nanousd == 4'711);
  CHECK(told().charged_by_bound == 1);
  CHECK(told() == state.settled);
}

TEST_CASE_FIXTURE(journal_fixture, "a last line that was torn off does not count") {
  {
    auto journal = open();
    note(journal, reserve_event{1, {100, 50, 9'000}, 0});
    note(journal, settle_event{1, {80, 20}, 4'000});
  }
  const auto whole = text();
  const auto before_settle = whole.find("settle");
  for (std::size_t cut = before_settle; cut < whole.size(); ++cut) {
    write(whole.substr(0, cut));
    CHECK(told().cost_nanousd == 9'000);
  }
  const auto before_reserve = whole.find("reserve");
  for (std::size_t cut = before_reserve; cut < before_settle - 1; ++cut) {
    write(whole.substr(0, cut));
    CHECK(told().cost_nanousd == 0);
  }
  for (std::size_t cut = 0; cut + 1 < before_reserve; ++cut) {
    CHECK_FALSE(parse_account(whole.substr(0, cut), boot));
  }
}

TEST_CASE_FIXTURE(journal_fixture, "what cannot be is not believed") {
  const std::string head = "germline account 1 boot-1\ntotal 0 0 0 0 0 0 0\n";
  CHECK(parse_account(head, boot));
  CHECK_FALSE(parse_account(head, "boot-2"));
  for (const auto* bad :
       {"settle 1 1 1 0 0 5\n", "release 1\n", "forfeit 1\n", "reserve 1 1 1\n",
        "reserve 1 1 1 5\nreserve 1 1 1 5\n", "reserve 1 1 1 -5\n", "reserve 1 1 1 5 6\n",
        "reserve 1 1 1 9999999999999999999\n", "reserve 1 1 1 2000000000000000\n", "\n", "x\n",
        "reserve  1 1 1 5\n", "reserve 1 1 1 5\nsettle 1 1 1 0 0 5x\n", "total 0 0 0 0 0 0 0\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_account(head + bad, boot));
  }
  CHECK_FALSE(parse_account("germline account 1 boot-1\n", boot));
  CHECK_FALSE(parse_account("germline account 1 boot-1\ntotal 0 0 0 0 0 -1 0\n", boot));
  CHECK_FALSE(parse_account("", boot));
}

TEST_CASE_FIXTURE(journal_fixture, "it stays small, and says the same") {
  auto journal = open();
  note(journal, reserve_event{1'000'000, {1, 2, 300}, 0});  // open all the while
  for (std::uint64_t id = 1; id <= 5'000; ++id) {
    note(journal, reserve_event{id, {100, 50, 9'000}, 0});
    note(journal, settle_event{id, {80, 20, 1, 0, 2}, static_cast<std::int64_t>(id)});
    REQUIRE(std::filesystem::file_size(path()) <= account_journal::compact_bytes);
  }
  const auto said = told();
  CHECK(said.requests == 5'001);
  CHECK(said.cost_nanousd == 5'000 * 5'001 / 2 + 300);
  CHECK(said.cache_read_tokens == 10'000);
}

TEST_CASE_FIXTURE(journal_fixture, "one that is opened again goes on with what it said") {
  {
    auto journal = open();
    note(journal, reserve_event{1, {100, 50, 9'000}, 0});
  }
  state = limited();
  auto journal = open();
  CHECK(told().cost_nanousd == 9'000);
  note(journal, reserve_event{1, {100, 50, 1'000}, 0});
  CHECK(told().cost_nanousd == 10'000);
  CHECK(told().requests == 2);
  for (int i = 0; i < 3'000; ++i) {
    note(journal, settle_event{1, {1, 1}, 10});
    note(journal, reserve_event{1, {100, 50, 1'000}, 0});
  }
  CHECK(told().cost_nanousd == 9'000 + 3'000 * 10 + 1'000);
}

TEST_CASE_FIXTURE(journal_fixture, "it is read once its door is closed, and then forgotten") {
  const auto folder = dir.path();
  {
    const auto begun = begin_account(folder, "att_1", std::string(boot));
    REQUIRE(begun);
    CHECK(read().empty());  // the attempt is being prepared
    auto journal = open();
    note(journal, reserve_event{1, {100, 50, 9'000}, 0});
    CHECK(read().empty());
    forget_account(folder, "att_1");
    CHECK(std::filesystem::exists(path()));
  }
  REQUIRE(read().size() == 1);
  CHECK(read()[0].attempt_id == "att_1");
  CHECK(read()[0].usage.cost_nanousd == 9'000);
  forget_account(folder, "../att_1");
  CHECK(std::filesystem::exists(path()));
  forget_account(folder, "att_1");
  CHECK(read().empty());
  CHECK_FALSE(std::filesystem::exists(path()));
  // An attempt whose door was never opened.
  { REQUIRE(begin_account(folder, "att_2", std::string(boot))); }
  REQUIRE(read().size() == 1);
  CHECK(read()[0].usage == gateway_usage());
}

TEST_CASE_FIXTURE(journal_fixture, "of another boot, or damaged, it is removed and not told") {
  { auto journal = open(); }
  const auto other = read_accounts(dir.path(), "boot-2", 256);
  REQUIRE(other);
  CHECK(other->empty());
  CHECK_FALSE(std::filesystem::exists(path()));
  write("germline account 1 boot-1\ntotal 0 0 0 0 0 0 0\nnonsense\n");
  CHECK(read().empty());
  CHECK_FALSE(std::filesystem::exists(path()));
}

TEST_CASE_FIXTURE(journal_fixture, "one that cannot be written is removed") {
  auto journal = open();
  note(journal, reserve_event{1, {100, 50, 9'000}, 0});
  // Past this size nothing can be written.
  struct rlimit before = {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  struct rlimit small = before;
  small.rlim_cur = text().size() + 5;
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  step(state, reserve_event{2, {100, 50, 9'000}, 0});
  const auto noted = journal.note(reserve_event{2, {100, 50, 9'000}, 0}, state);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, ignored);
  CHECK(noted);
  CHECK_FALSE(journal.keeps());
  CHECK_FALSE(std::filesystem::exists(path()));
  // And what comes later brings none back.
  note(journal, settle_event{1, {80, 20}, 4'000});
  CHECK_FALSE(std::filesystem::exists(path()));
}

TEST_CASE_FIXTURE(journal_fixture, "one that can be neither written nor removed lets nothing out") {
  auto journal = open();
  // A folder in its place, and no new file: what it says cannot be mended.
  std::filesystem::remove(path());
  std::filesystem::create_directories(path() + "/full");
  std::filesystem::create_directories(dir.path() + "/att_1.account.new/full");
  const auto ask = [&](std::uint64_t id) {
    step(state, reserve_event{id, {1, 1, 1}, 0});
    return journal.note(reserve_event{id, {1, 1, 1}, 0}, state);
  };
  std::uint64_t id = 0;
  while (id < 10'000 && ask(++id)) continue;
  CHECK(id < 10'000);
  CHECK_FALSE(ask(++id));
  CHECK_FALSE(ask(++id));
  std::filesystem::remove_all(path());
  CHECK(ask(++id));  // it is charged whole, if it is lost
  CHECK_FALSE(journal.keeps());
}

TEST_CASE_FIXTURE(journal_fixture, "the group that shares it reads it, whatever the umask") {
  const auto before = ::umask(0077);
  { auto journal = open(); }
  ::umask(before);
  struct stat status = {};
  REQUIRE(::stat(path().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0640);
}

TEST_CASE_FIXTURE(journal_fixture, "what cannot be read is removed, and told of no more") {
  std::filesystem::create_symlink("/nowhere", path());
  CHECK(read().empty());
  CHECK_FALSE(std::filesystem::is_symlink(path()));
}

TEST_CASE_FIXTURE(journal_fixture,
                  "a folder that is not there keeps nothing, and is an error to read") {
  const auto missing = dir.path() + "/missing";
  const auto journal = account_journal::open(missing, "att_1", std::string(boot));
  REQUIRE(journal);
  CHECK_FALSE(journal->keeps());
  CHECK_FALSE(read_accounts(missing, std::string(boot), 256));
  CHECK_FALSE(begin_account(missing, "att_1", std::string(boot)));
}
