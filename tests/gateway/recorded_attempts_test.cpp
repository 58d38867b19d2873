// Attempts that do again what others did at the same gateway: by their transcripts, and no
// upstream.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const worker::gateway_limits plenty{100, 100, 10'000'000, 1'000'000, 1'000'000'000'000};
const std::string again = "att_1190f3c2a1b27c3d8e4f5a6b7c8d9e0f";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string asks(const std::string& text) {
  return json({{"model", "scripted-1"},
               {"max_tokens", 100},
               {"messages", {{{"role", "user"}, {"content", text}}}}})
      .dump();
}

std::string says(const std::string& text) {
  return json({{"id", "m"},
               {"content", {{{"type", "text"}, {"text", text}}}},
               {"usage", {{"input_tokens", 11}, {"output_tokens", 5}}}})
      .dump();
}

/// A provider, with three answers of which an attempt had two.
struct recorded {
  recorded()
      : provider({json_answer(says("one")), json_answer(says("two")), json_answer(says("live"))}),
        fixture(provider.port(), "") {
    fixture.open(plenty);
    CHECK(has(fixture.post(asks("first")).body, "one"));
    CHECK(has(fixture.post(asks("second, at 12:00")).body, "two"));
    const auto closed = fixture.client().close(attempt_name);
    REQUIRE(closed);
    usage = *closed;
  }
  canned_upstream provider;
  gateway_fixture fixture;
  worker::gateway_usage usage;
};

}  // namespace

TEST_CASE("what an attempt was answered another is answered again, at the same cost") {
  recorded before;
  auto& gateway = before.fixture;
  REQUIRE(gateway.open_again(again, plenty, {attempt_name, true}));
  const auto first = gateway.post(asks("first"));
  CHECK(has(first.body, "one"));
  CHECK(has(first.head, "x-germline-replay: 1"));
  CHECK(has(gateway.post(asks("second, at 12:00")).body, "two"));
  const auto more = gateway.post(asks("third"));
  CHECK(more.status == 400);
  CHECK(has(more.body, "request 3 is one more than were recorded"));
  const auto closed = gateway.client().close(again);
  REQUIRE(closed);
  CHECK(closed->cost_nanousd == before.usage.cost_nanousd);
  // It has a transcript of its own, which can be replayed in turn.
  REQUIRE(gateway.open_again("att_2", plenty, {again, true}));
  CHECK(has(gateway.post(asks("first")).body, "one"));
  REQUIRE(gateway.client().close("att_2"));
  // Others are served by the provider, as before.
  gateway.open(plenty);
  CHECK(has(gateway.post(asks("anything")).body, "live"));
}

TEST_CASE("tries that were lost are charged again, each as a request") {
  const auto busy = json_answer(R"({"error":{"message":"busy"}})", "529 Overloaded");
  canned_upstream provider({no_answer(), json_answer(says("one")), busy, json_answer(says("two")),
                            no_answer(), no_answer(), no_answer()});
  gateway_fixture gateway(provider.port(), "");
  gateway.open(plenty);
  CHECK(has(gateway.post(asks("first")).body, "one"));
  CHECK(has(gateway.post(asks("second")).body, "two"));
  CHECK(gateway.post(asks("third")).status == 502);
  const auto before = gateway.client().close(attempt_name);
  REQUIRE(before);
  CHECK(before->requests == 7);
  CHECK(before->charged_by_bound == 4);
  REQUIRE(gateway.open_again(again, plenty, {attempt_name, true}));
  CHECK(has(gateway.post(asks("first")).body, "one"));
  CHECK(has(gateway.post(asks("second")).body, "two"));
  CHECK(gateway.post(asks("third")).status == 502);
  const auto after = gateway.client().close(again);
  REQUIRE(after);
  CHECK(static_cast<const worker::gateway_usage&>(*after) == *before);
}

TEST_CASE("strictly what differs is refused, leniently it is answered by what is most like it") {
  recorded before;
  auto& gateway = before.fixture;
  REQUIRE(gateway.open_again(again, plenty, {attempt_name, true}));
  const auto other = gateway.post(asks("other"));
  CHECK(other.status == 400);
  CHECK(has(other.body, "request 1 differs"));
  const auto account = gateway.client().close(again);
  REQUIRE(account);
  CHECK(account->obstacle.kind == worker::obstacle_kind::difference);
  CHECK(account->obstacle.why.starts_with("request 1 differs: "));
  REQUIRE(gateway.open_again("att_3", plenty, {attempt_name, false}));
  CHECK(has(gateway.post(asks("second, at 13:37")).body, "two"));
  CHECK(has(gateway.post(asks("first")).body, "one"));
  CHECK(gateway.post(asks("first")).status == 400);
  REQUIRE(gateway.client().close("att_3"));
  // Nothing of it went to the provider, whose third answer is still there.
  gateway.open(plenty);
  CHECK(has(gateway.post(asks("anything")).body, "live"));
}

TEST_CASE("without a transcript it is refused for good, and without a recorded attempt asks none") {
  recorded before;
  auto& gateway = before.fixture;
  const auto gone = gateway.open_again(again, plenty, {"att_elsewhere", false});
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code() == error_code::failed_precondition);
  CHECK(has(gone.error().message(), "no transcript of att_elsewhere"));
  const auto outside = gateway.open_again(again, plenty, {"../transcripts/" + attempt_name, false});
  REQUIRE_FALSE(outside);
  CHECK(has(outside.error().message(), "no plain name"));
  const auto file = gateway.transcript_file();
  std::filesystem::copy_file(file, std::filesystem::path(file).parent_path() / "att_torn.jsonl");
  std::ofstream(std::filesystem::path(file).parent_path() / "att_torn.jsonl") << "no transcript\n";
  const auto torn = gateway.open_again(again, plenty, {"att_torn", false});
  REQUIRE_FALSE(torn);
  CHECK(has(torn.error().message(), "the transcript of att_torn cannot be read"));

  REQUIRE(gateway.open_again(again, plenty, {"", false}));
  const auto refused = gateway.post(asks("first"));
  CHECK(refused.status == 400);
  CHECK(has(refused.body, "no request was recorded"));
  const auto closed = gateway.client().close(again);
  REQUIRE(closed);
  CHECK(closed->cost_nanousd == 0);
}
