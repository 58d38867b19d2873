#include "worker/node/node_state.hpp"

#include <doctest/doctest.h>

using namespace germline;
using namespace germline::worker;

namespace {

node_state make_node(int slots = 1) {
  return node_state({.worker_id = "w", .base_digest = "b", .version = "0", .slots = slots});
}

v1::CoordinatorMessage lease_of(const std::string& attempt, std::int64_t fence = 1) {
  v1::CoordinatorMessage message;
  message.mutable_lease()->set_attempt_id(attempt);
  message.mutable_lease()->set_fence(fence);
  message.mutable_lease()->set_lease_ms(20'000);
  return message;
}

v1::CoordinatorMessage reply_to(std::int64_t sent) {
  v1::CoordinatorMessage message;
  message.mutable_heartbeat_reply()->set_sent_boot_ms(sent);
  return message;
}

template <class Effect>
const Effect* only(const node_effects& effects) {
  const Effect* found = nullptr;
  for (const auto& effect : effects) {
    if (const auto* match = std::get_if<Effect>(&effect)) {
      REQUIRE(found == nullptr);
      found = match;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("a lease is counted from the last answered sending, never from its arrival") {
  auto node = make_node();
  node.on_connected(1'000);
  node.on_tick(5'000);
  node.on_message(reply_to(5'000));
  const auto effects = node.on_message(lease_of("a"));
  const auto* start = only<start_attempt>(effects);
  REQUIRE(start != nullptr);
  CHECK(start->lease_until_boot_ms == 25'000);
}

TEST_CASE("only a heartbeat that named the attempt, once answered, renews its lease") {
  auto node = make_node();
  node.on_connected(0);
  node.on_tick(100);  // names nothing
  node.on_message(lease_of("a"));
  CHECK(node.on_message(reply_to(100)).empty());
  node.on_tick(5'000);
  const auto renewed = node.on_message(reply_to(5'000));
  REQUIRE(only<renew_attempt>(renewed) != nullptr);
  CHECK(only<renew_attempt>(renewed)->lease_until_boot_ms == 25'000);
  CHECK(node.on_message(reply_to(5'000)).empty());  // answered once
}

TEST_CASE("an attempt whose lease ran out is cancelled; named until it is gone, and not renewed") {
  auto node = make_node();
  node.on_connected(0);
  node.on_message(lease_of("a"));
  const auto effects = node.on_tick(20'000);
  REQUIRE(only<cancel_attempt>(effects) != nullptr);
  CHECK(only<send_message>(effects)->message.heartbeat().attempts_size() == 1);
  CHECK(only<cancel_attempt>(node.on_tick(25'000)) == nullptr);  // once
  CHECK(only<renew_attempt>(node.on_message(reply_to(25'000))) == nullptr);
  v1::AttemptCleaned gone;
  gone.set_attempt_id("a");
  node.on_cleaned(gone);
  const auto later = node.on_tick(30'000);
  CHECK(only<send_message>(later)->message.heartbeat().attempts().empty());
}

TEST_CASE("a kill is answered with cleaned only when nothing runs any more") {
  auto node = make_node();
  node.on_connected(0);
  node.on_message(lease_of("a"));
  v1::CoordinatorMessage kill;
  kill.mutable_kill()->set_attempt_id("a");
  const auto effects = node.on_message(kill);
  CHECK(only<cancel_attempt>(effects) != nullptr);
  CHECK(only<send_message>(effects) == nullptr);
  v1::AttemptCleaned gone;
  gone.set_attempt_id("a");
  gone.mutable_usage()->set_cost_nanousd(7);
  const auto cleaned = node.on_cleaned(gone);
  CHECK(only<send_message>(cleaned)->message.cleaned().attempt_id() == "a");
  CHECK(only<send_message>(cleaned)->message.cleaned().usage().cost_nanousd() == 7);
  // A kill of what is not here is proof at once.
  CHECK(only<send_message>(node.on_message(kill))->message.has_cleaned());
}

TEST_CASE("a result of a cancelled attempt is never reported as one") {
  auto node = make_node();
  node.on_connected(0);
  node.on_message(lease_of("a"));
  v1::CoordinatorMessage kill;
  kill.mutable_kill()->set_attempt_id("a");
  node.on_message(kill);
  v1::AttemptResult result;
  result.set_attempt_id("a");
  result.mutable_usage()->set_cost_nanousd(7);
  const auto effects = node.on_finished(result);
  REQUIRE(only<send_message>(effects)->message.has_cleaned());
  CHECK(only<send_message>(effects)->message.cleaned().usage().cost_nanousd() == 7);
}

TEST_CASE("a worker that stops says so, cancels, and takes no more leases") {
  auto node = make_node();
  node.on_connected(0);
  node.on_message(lease_of("a"));
  const auto effects = node.on_stop();
  REQUIRE(only<send_message>(effects) != nullptr);
  CHECK(only<send_message>(effects)->message.has_leaving());
  REQUIRE(only<cancel_attempt>(effects) != nullptr);
  CHECK(only<cancel_attempt>(effects)->attempt_id == "a");
  v1::AttemptCleaned gone;
  gone.set_attempt_id("a");
  node.on_cleaned(gone);
  CHECK(node.on_message(lease_of("b")).empty());
}

TEST_CASE("a worker says what it has, each time it joins") {
  node_state node({"w", "base", "0.1.0", 1, {"gpu", "zone=a"}});
  for (int i = 0; i < 2; ++i) {
    const auto effects = node.on_connected(0);
    REQUIRE(effects.size() == 1);
    const auto& hello = std::get<send_message>(effects[0]).message.hello();
    REQUIRE(hello.tags_size() == 2);
    CHECK(hello.tags(0) == "gpu");
    CHECK(hello.tags(1) == "zone=a");
    node.on_disconnected();
  }
}

TEST_CASE("results are kept over a broken stream and repeated until answered") {
  auto node = make_node();
  node.on_connected(0);
  node.on_message(lease_of("a", 3));
  node.on_disconnected();
  v1::AttemptResult result;
  result.set_attempt_id("a");
  result.set_fence(3);
  CHECK(node.on_finished(result).empty());
  CHECK(node.free_slots() == 1);
  const auto effects = node.on_connected(9'000);
  REQUIRE(effects.size() == 2);
  CHECK(std::get<send_message>(effects[0]).message.hello().running_attempts(0) == "a");
  CHECK(std::get<send_message>(effects[1]).message.result().fence() == 3);
  v1::CoordinatorMessage reply;
  reply.mutable_result_reply()->set_attempt_id("a");
  node.on_message(reply);
  CHECK(node.attempts().empty());
}

TEST_CASE("a lease beyond the slots is not taken, nor one twice") {
  auto node = make_node(1);
  node.on_connected(0);
  CHECK(only<start_attempt>(node.on_message(lease_of("a"))) != nullptr);
  CHECK(node.on_message(lease_of("a")).empty());
  CHECK(node.on_message(lease_of("b")).empty());
}

TEST_CASE("what the coordinator has given to others is cancelled on reconnect") {
  auto node = make_node();
  node.on_connected(0);
  node.on_message(lease_of("a"));
  v1::CoordinatorMessage welcome;
  welcome.mutable_welcome()->add_forget_attempts("a");
  CHECK(only<cancel_attempt>(node.on_message(welcome)) != nullptr);
}

TEST_CASE("what keeps a worker from leases is said with its hello and with each heartbeat") {
  auto node = make_node();
  const auto joined = node.on_connected(0, "its disk is full");
  CHECK(only<send_message>(joined)->message.hello().trouble() == "its disk is full");
  const auto beat = node.on_tick(5'000, "its disk is full");
  CHECK(only<send_message>(beat)->message.heartbeat().trouble() == "its disk is full");
  const auto well = node.on_tick(10'000);
  CHECK(only<send_message>(well)->message.heartbeat().trouble().empty());
}

TEST_CASE("what journals say is forwarded while the stream stands") {
  node_state node({"wrk_1", "base", "1", 1});
  v1::LateAccounts told;
  told.add_accounts()->set_attempt_id("att_1");
  CHECK(node.on_accounts(told).empty());
  node.on_connected(1'000);
  const auto effects = node.on_accounts(told);
  REQUIRE(effects.size() == 1);
  CHECK(std::get<send_message>(effects[0]).message.accounts().accounts(0).attempt_id() == "att_1");
  CHECK(node.on_accounts({}).empty());
}
