#include "worker/node/account_reporter.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>

#include "tests/support/temp_dir.hpp"
#include "worker/gateway/account_journal.hpp"

using namespace germline;
using namespace germline::worker;

TEST_CASE("what journals say is told until the coordinator needs it no more") {
  const tests::temp_dir folder;
  { REQUIRE(begin_account(folder.path(), "att_1", "boot")); }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<v1::LateAccounts> told;
  account_reporter reporter(folder.path(), "boot", [&](v1::LateAccounts accounts) {
    const std::scoped_lock lock(mutex);
    told.push_back(std::move(accounts));
    changed.notify_all();
  });
  const auto await = [&](std::size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(60), [&] { return told.size() >= count; });
  };
  reporter.look();
  REQUIRE(await(1));
  CHECK(told[0].accounts_size() == 1);
  CHECK(told[0].accounts(0).attempt_id() == "att_1");
  CHECK(told[0].accounts(0).usage().cost_nanousd() == 0);
  // No answer came: it is said again.
  reporter.look();
  REQUIRE(await(2));
  v1::LateAccountsReply reply;
  reply.add_attempts("att_1");
  reply.add_attempts("../other");
  reporter.forget(reply);
  for (int i = 0; i < 600 && !std::filesystem::is_empty(folder.path()); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}
