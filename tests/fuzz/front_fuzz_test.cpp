// Feeds the real gateway's front with hostile bytes: requests framed in every wrong way, several at
// once, cut, slow, and broken off. A case passes when each is answered well or the connection is
// closed, when the provider gets nothing but what a strict parser calls one whole request that may
// go out, and when the gateway then holds nothing back: no bytes, no money, no connection.
#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/fuzz/fuzzing.hpp"
#include "tests/fuzz/hostile_client.hpp"
#include "tests/fuzz/hostile_http.hpp"
#include "tests/fuzz/strict_http.hpp"
#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"
#include "worker/gateway/dialect.hpp"

using namespace germline;
using namespace germline::tests;
using namespace germline::worker;
using nlohmann::json;

namespace {

constexpr std::int64_t output_tokens = 10'000'000;  // of the attempt
constexpr std::int64_t sane_tokens = 1'000;         // of one request, lest it takes all of them
constexpr std::int64_t answer_tokens = 5;
constexpr std::size_t held_bytes = 64 << 10;

const std::string config = R"(dialects = ["messages", "chat_completions", "responses"]
[limits]
max_body_bytes = 65536
max_held_bytes = 65536
max_held_bytes_in_all = 65536
max_connections = 500
max_output_tokens = 10000000
[timeouts]
client_header_ms = 2500
client_body_ms = 2500
)";

const std::string answer_body =
    R"({"type":"message","content":[],"usage":{"input_tokens":10,"output_tokens":5}})";
const std::string answer_events =
    "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,"
    "\"output_tokens\":1}}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
    "\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\ndata: {\"type\":\"message_stop\"}\n\n";

std::vector<canned_answer> answers(std::size_t count) {
  std::vector<canned_answer> all;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t piece = i % 6 == 0 ? 16 : 100;  // each takes a millisecond
    all.push_back(i % 3 == 0 ? stream_answer(answer_events, piece) : json_answer(answer_body));
  }
  return all;
}

/// What the provider may get of a request; none: nothing.
std::optional<std::pair<std::string, request_facts>> allowed(const strict_request& one) {
  std::string token = field_of(one.fields, "x-api-key");
  if (token.empty()) token = field_of(one.fields, "authorization");
  if (one.method != "POST" || (token != test_token && token != "Bearer " + test_token)) return {};
  for (const dialect* speaks : all_dialects()) {
    const auto kind = speaks->route(one.target);
    if (!kind) continue;
    const auto judged = speaks->judge(one.body, *kind, {output_tokens, output_tokens});
    const auto* facts = std::get_if<request_facts>(&judged);
    if (!facts || facts->model != "scripted-1") return {};
    return std::pair(one.target + "\n" + facts->rewritten.value_or(one.body), *facts);
  }
  return {};
}

/// All that was sent, by what the provider may have got of it.
class ledger {
 public:
  /// False: it might reserve more than what the attempt has.
  bool note(const std::string& bytes) {
    const auto sent = read_requests(bytes).whole;
    std::vector<std::string> more;
    for (const auto& one : sent) {
      const auto out = allowed(one);
      if (!out) continue;
      if (out->second.max_output_tokens > sane_tokens) return false;
      more.push_back(out->first);
    }
    for (auto& one : more) ++may_be_[std::move(one)];
    sent_.push_back(bytes);
    return true;
  }

  void check(const std::vector<canned_upstream::request>& got) {
    for (const auto& one : got) {
      CAPTURE(one.head);
      CAPTURE(one.body);
      INFO(sent_with(one.body));
      const auto read = read_requests(one.head + one.body);
      REQUIRE_FALSE(read.rest);
      REQUIRE(read.whole.size() == 1);
      REQUIRE(one.head.find(test_token) == one.head.npos);
      REQUIRE(field_of(read.whole[0].fields, "x-api-key") == test_key);
      auto& left = may_be_[read.whole[0].target + "\n" + read.whole[0].body];
      REQUIRE(left-- > 0);
    }
  }

 private:
  /// What was sent with the mark that is in `body`.
  std::string sent_with(const std::string& body) const {
    const auto at = body.find("round");
    const auto mark = body.substr(at, at == body.npos ? at : body.find('_', at) + 1 - at);
    for (const auto& bytes : sent_) {
      if (at != body.npos && bytes.find(mark) != bytes.npos) return bytes;
    }
    return {};
  }

  std::map<std::string, int> may_be_;
  std::vector<std::string> sent_;
};

void check_answer(const strict_answer& one) {
  static const std::set<int> statuses = {200, 204, 400, 401, 404, 405, 413, 429};
  CAPTURE(one.body);
  REQUIRE(statuses.contains(one.status));
  if (one.status < 400) return;
  const auto error = json::parse(one.body, nullptr, false);
  REQUIRE(error.is_object());
  REQUIRE(error.contains("error"));
}

class fuzzed_front {
 public:
  explicit fuzzed_front(std::size_t rounds)
      : upstream_(answers(rounds * 8 + 100)), fixture_(upstream_.port(), config) {
    gateway_limits limits;
    limits.max_requests = limits.max_requests_per_minute = limits.max_input_tokens = 1'000'000'000;
    limits.max_output_tokens = output_tokens;
    limits.budget_nanousd = INT64_MAX / 2;
    fixture_.open(limits, 600'000);
  }

  void round(const std::string& mark, random_source& random) {
    auto bytes = hostile_requests(test_token, mark, random);
    const auto ending = random.below(12);
    if (ending < 3) bytes.resize(random.below(bytes.size() + 1));
    if (!ledger_.note(bytes)) return;
    hostile_client client(fixture_.port(), bytes);
    client.send(random);
    if (ending == 0 && slow_.size() < 20) {
      slow_.push_back(std::move(client));
    } else if (ending == 1 || ending == 3) {
      client.hang_up();
    } else {
      client.take_answers(check_answer);
    }
  }

  /// A good request; false: it was refused.
  bool ask(const std::string& body, std::string* why = nullptr) {
    const auto bytes = gateway_fixture::request(body);
    ledger_.note(bytes);
    const auto answer = fixture_.ask(bytes);
    if (why) *why = std::to_string(answer.status) + " " + answer.body;
    return answer.status == 200;
  }

  /// Hangs up on a good request, before its answer or within.
  void break_off(const std::string& mark, random_source& random) {
    const auto bytes = gateway_fixture::request(marked_body(mark));
    ledger_.note(bytes);
    raw_client client(fixture_.port());
    client.send(bytes);
    client.read_some(static_cast<int>(random.below(4)));
  }

  void check_alive(const std::string& mark) {
    std::string why;
    const bool answered = ask(marked_body(mark), &why);
    REQUIRE_MESSAGE(answered, why);
    REQUIRE_FALSE(fixture_.gateway_is_gone(0));
  }

  /// Of connections that stay open, of bytes, and of money.
  void check_nothing_is_held() {
    for (auto& one : slow_) CHECK(one.connection().wait_closed(patience_ms) >= 0);
    slow_.clear();
    std::string why;
    CHECK_MESSAGE(comes_to_be([&] { return ask(marked_body("full", held_bytes - 600), &why); }),
                  why);
    const auto all_that_is_left = [&] {
      auto body = json::parse(marked_body("left"));
      body["max_tokens"] = output_tokens - fixture_.usage().output_tokens;
      const auto bytes = gateway_fixture::request(body.dump());
      const auto answer = fixture_.ask(bytes);
      why = std::to_string(answer.status) + " " + answer.body;
      return answer.status == 200;
    };
    CHECK_MESSAGE(comes_to_be(all_that_is_left), why);
  }

  void check_account() {
    const auto got = upstream_.requests();
    const auto account = fixture_.client().close(attempt_name);
    REQUIRE(account);
    CHECK(account->requests >= static_cast<std::int64_t>(got.size()));
    CHECK(account->charged_by_bound < account->requests);
    const auto paid = std::count_if(got.begin(), got.end(), [](const auto& one) {
      return !one.head.starts_with("POST /v1/messages/count_tokens ");
    });
    CHECK(account->output_tokens >= answer_tokens * paid);
    ledger_.check({got.begin(), got.end() - 1});  // the last is all_that_is_left
    const auto log = fixture_.gateway_log();
    for (const char* bad : {"exception", "Sanitizer", "runtime error", "assert"}) {
      CHECK_MESSAGE(log.find(bad) == log.npos, log);
    }
    CHECK(log.find(test_key) == log.npos);
  }

 private:
  template <class Try>
  static bool comes_to_be(Try holds) {
    const system_clock_source time;
    const auto began = time.boot_ms();
    while (time.boot_ms() - began < patience_ms) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

  canned_upstream upstream_;
  gateway_fixture fixture_;
  ledger ledger_;
  std::vector<hostile_client> slow_;
};

}  // namespace

TEST_CASE("the front bears any bytes") {
  seeded_random random(fuzz_seed());
  const auto rounds = fuzz_rounds(300);
  fuzzed_front front(rounds);
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    front.round("round" + std::to_string(i), random);
    if (i % 5 == 0) front.break_off("cut" + std::to_string(i), random);
    if (i % 20 == 0) front.check_alive("good" + std::to_string(i));
  }
  front.check_nothing_is_held();
  front.check_account();
}
