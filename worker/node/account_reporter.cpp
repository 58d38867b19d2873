#include "worker/node/account_reporter.hpp"

#include <chrono>
#include <utility>

#include "common/log.hpp"
#include "worker/gateway/account_journal.hpp"
#include "worker/node/usage_of.hpp"

namespace germline::worker {
namespace {

constexpr std::chrono::seconds look_interval{5};
constexpr std::size_t max_told = 256;  // in one message
constexpr std::size_t max_done = 4'096;

}  // namespace

account_reporter::account_reporter(std::string directory, std::string boot_id, sink send)
    : directory_(std::move(directory)),
      boot_id_(std::move(boot_id)),
      send_(std::move(send)),
      thread_([this](const std::stop_token& stopping) { run(stopping); }) {}

account_reporter::~account_reporter() {
  thread_.request_stop();
  thread_.join();
}

void account_reporter::look() {
  {
    const std::scoped_lock lock(mutex_);
    looks_ = true;
  }
  changed_.notify_all();
}

void account_reporter::forget(const v1::LateAccountsReply& told) {
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& each : told.attempts()) {
      if (done_.size() < max_done) done_.push_back(each);  // more are told again
    }
  }
  changed_.notify_all();
}

void account_reporter::run(const std::stop_token& stopping) {
  std::string trouble;
  while (!stopping.stop_requested()) {
    std::vector<std::string> done;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stopping, look_interval, [this] { return looks_ || !done_.empty(); });
      if (stopping.stop_requested()) return;
      looks_ = false;
      done = std::exchange(done_, {});
    }
    for (const auto& each : done) forget_account(directory_, each);
    const auto accounts = read_accounts(directory_, boot_id_, max_told);
    if (!accounts) {
      if (std::exchange(trouble, accounts.error().message()) != trouble) {
        log_warning("accounts of attempts cannot be told: {}", trouble);
      }
      continue;
    }
    trouble.clear();
    v1::LateAccounts told;
    for (const auto& each : *accounts) {
      auto& one = *told.add_accounts();
      one.set_attempt_id(each.attempt_id);
      *one.mutable_usage() = usage_of(each.usage);
    }
    // After an answer the rest is told at once; what is not settled yet is asked of later.
    const bool is_answer = !done.empty() && accounts->size() < max_told;
    if (told.accounts_size() > 0 && !is_answer) send_(std::move(told));
  }
}

}  // namespace germline::worker
