#include "worker/gateway/replay.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "worker/gateway/replay_answer.hpp"
#include "worker/gateway/transcript.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

const std::string messages_path = "/v1/messages";

std::string body(const std::string& messages) {
  return R"({"model":"m","messages":[)" + messages + "]}";
}

transcript_entry entry(const std::string& messages, const std::string& response) {
  transcript_entry made;
  made.path = messages_path;
  made.request = std::make_shared<std::string>(body(messages));
  made.response = response;
  made.outcome = "settled";
  made.status = 200;
  made.cost_nanousd = 1;
  return made;
}

struct scratch {
  scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~scratch() { std::filesystem::remove_all(path); }
  std::string record(const std::string& name, const std::vector<transcript_entry>& entries) const {
    auto file = transcript::open(path, name, 1 << 20, {});
    REQUIRE(file);
    for (const auto& one : entries) REQUIRE(file->append(one));
    return path + "/" + name + ".jsonl";
  }
  std::string path = "/tmp/replay_test.XXXXXX";
};

/// What is answered; of a refusal its message, behind a '!'.
std::string ask(replay& from, const std::string& attempt, const std::string& messages,
                const std::string& path = messages_path) {
  const auto text = body(messages);
  const auto said = from.answer({attempt, path, text});
  if (const auto* refused = std::get_if<replay_refusal>(&said)) return "!" + refused->message;
  return std::get<recorded_exchange>(said).response;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("strict: the nth answer to the nth request, for each attempt from the beginning") {
  const scratch folder;
  auto refused = entry("0", "no");
  refused.outcome = "refused";
  const auto file = folder.record("att_1", {entry("1", "one"), refused, entry("1,2", "two")});
  auto opened = replay::open(file, replay_mode::strict);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "1") == "one");
  CHECK(ask(*opened, "b", "1") == "one");
  CHECK(ask(*opened, "a", "1,2") == "two");
  CHECK(ask(*opened, "b", "1,2") == "two");
  CHECK(has(ask(*opened, "a", "1,2,3"), "request 3 is one more than were recorded"));
  opened->forget("a");
  CHECK(ask(*opened, "a", "1") == "one");
}

TEST_CASE("that the recording's file is cut off or damaged is said where it differs") {
  const scratch folder;
  const auto file = folder.record("att_1", {entry("1", "one"), entry("1,2", "two")});
  SUBCASE("cut off") {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - 5);
    for (const auto mode : {replay_mode::strict, replay_mode::lenient}) {
      auto opened = replay::open(file, mode);
      REQUIRE(opened);
      CHECK(ask(*opened, "a", "1") == "one");
      CHECK(ask(*opened, "a", "1,2").ends_with("; its file is cut off in its last line"));
    }
  }
  SUBCASE("damaged") {
    std::ofstream(file, std::ios::app) << "no line of it\n";
    auto opened = replay::open(file, replay_mode::strict);
    REQUIRE(opened);
    CHECK(ask(*opened, "a", "1") == "one");
    CHECK(ask(*opened, "a", "3").ends_with("; lines of its file that are damaged: 1"));
  }
}

TEST_CASE("strict: requests beside each other are in the order in which they began") {
  const scratch folder;
  auto slow = entry("1", "slow");
  slow.at_utc_ms = 1'000;
  auto quick = entry("2", "quick");
  quick.at_utc_ms = 2'000;
  auto last = entry("3", "last");
  last.at_utc_ms = 2'000;
  auto opened = replay::open(folder.record("att_1", {quick, slow, last}), replay_mode::strict);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "1") == "slow");
  CHECK(ask(*opened, "a", "2") == "quick");
  CHECK(ask(*opened, "a", "3") == "last");
}

TEST_CASE("strict: another request is told with its difference, and ends that attempt's replay") {
  const scratch folder;
  const auto file = folder.record("att_1", {entry("1", "one"), entry("1,2", "two")});
  auto opened = replay::open(file, replay_mode::strict);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "1") == "one");
  CHECK(ask(*opened, "a", "1,3") ==
        "!the replay of att_1.jsonl ends: request 2 differs: messages[1] is 3, recorded was 2");
  CHECK(has(ask(*opened, "a", "1,2"), "is over: request 2 differs: messages[1] is 3"));
  CHECK(
      has(ask(*opened, "b", "1", "/v1/messages?beta=true"), "the path is /v1/messages?beta=true"));
  CHECK(ask(*opened, "c", "1") == "one");
}

TEST_CASE("strict: of a folder each attempt gets what began as it does, and none twice") {
  const scratch folder;
  folder.record("att_1", {entry("1", "first")});
  folder.record("att_2", {entry("2", "second")});
  folder.record("att_3", {entry("1", "third")});
  folder.record("att_4", {});
  std::ofstream(folder.path + "/notes.txt") << "no transcript";
  auto opened = replay::open(folder.path, replay_mode::strict);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "2") == "second");
  CHECK(ask(*opened, "b", "1") == "first");
  CHECK(ask(*opened, "c", "1") == "third");
  const auto none = ask(*opened, "d", "1");
  CHECK(has(none, "begins with this request, of those that no attempt had yet"));
  opened->forget("b");
  CHECK(has(ask(*opened, "e", "1"), "no attempt had yet"));
  auto again = replay::open(folder.path, replay_mode::strict);
  CHECK(has(ask(*again, "a", "7"), "; in att_1.jsonl messages[0] is 7, recorded was 1"));
}

TEST_CASE("lenient: the most alike of as many messages, each once, and an end that is none") {
  const scratch folder;
  const auto file = folder.record(
      "att_1", {entry("1", "one"), entry("1,20", "a"), entry("1,23", "b"), entry("1,2,3", "c")});
  auto opened = replay::open(file, replay_mode::lenient);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "9") == "one");
  CHECK(ask(*opened, "a", "1,239") == "b");
  CHECK(ask(*opened, "a", "1,239") == "a");
  CHECK(ask(*opened, "a", "1,239") ==
        "!the replay of att_1.jsonl has no answer: of the recorded requests that were not answered "
        "yet none has the path /v1/messages and 2 messages");
  CHECK(has(ask(*opened, "a", "1,2,3", "/v1/responses"), "none has the path /v1/responses"));
  CHECK(ask(*opened, "a", "1,2,4") == "c");
  CHECK(ask(*opened, "b", "1,2") == "a");
}

TEST_CASE("a damaged recording in a folder is left out, and the others are replayed") {
  for (const auto mode : {replay_mode::strict, replay_mode::lenient}) {
    const scratch folder;
    const auto damaged = folder.record("att_1", {entry("1", std::string(300, 'd'))});
    folder.record("att_2", {entry("1," + std::string(300, '2'), "second")});
    std::ofstream(folder.path + "/att_0.jsonl") << "nothing\n";
    std::ifstream in(damaged);
    std::string line;
    std::getline(in, line);  // of pieces
    std::getline(in, line);
    std::ofstream(damaged, std::ios::trunc) << line << "\n";
    CHECK_FALSE(replay::open(damaged, mode));
    auto opened = replay::open(folder.path, mode);
    REQUIRE(opened);
    CHECK(ask(*opened, "a", "1," + std::string(300, '2')) == "second");
  }
}

TEST_CASE("of one millisecond the order is that of the serials") {
  const scratch folder;
  auto late = entry("2", "late");
  late.serial = 2;
  auto early = entry("1", "early");
  early.serial = 1;
  auto opened = replay::open(folder.record("att_1", {late, early}), replay_mode::strict);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "1") == "early");
  CHECK(ask(*opened, "a", "2") == "late");
}

TEST_CASE("what never went to an upstream is not replayed, but for what was counted") {
  const scratch folder;
  auto full = entry("1", "full");
  full.outcome = "not_billed";
  full.status = 429;
  full.cost_nanousd = 0;
  auto failed = full;
  failed.response = "failed";
  failed.upstream = "provider";
  auto opened = replay::open(folder.record("att_1", {full, failed, entry("1", "counted")}),
                             replay_mode::strict);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "1") == "failed");
  CHECK(ask(*opened, "a", "1") == "counted");
}

TEST_CASE("of a translated recording each attempt of a folder is found by its own words") {
  const scratch folder;
  auto other = entry("7", "other");
  other.translated = "messages";
  auto one = entry("1", "one");
  one.translated = "messages";
  folder.record("att_1", {other});
  folder.record("att_2", {one});
  auto opened = replay::open(folder.path, replay_mode::strict);
  REQUIRE(opened);
  const std::string text = R"({"messages": [1], "model":"m", "max_tokens":5})";
  const auto said = opened->answer({"a", messages_path, text});
  REQUIRE(std::holds_alternative<recorded_exchange>(said));
  CHECK(std::get<recorded_exchange>(said).response == "one");
}

TEST_CASE("lenient: the same request is preferred, however many are alike") {
  const scratch folder;
  std::vector<transcript_entry> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back(entry("1," + std::to_string(1'000 + i), std::to_string(i)));
  }
  auto opened = replay::open(folder.record("att_1", entries), replay_mode::lenient);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "1,1099") == "99");
  CHECK(ask(*opened, "a", "1,1099") == "0");  // of the first that are compared
}

TEST_CASE("a folder of links to recordings is one of recordings") {
  const scratch folder;
  const scratch links;
  const auto file = folder.record("att_1", {entry("1", "one")});
  std::filesystem::create_symlink(file, links.path + "/chosen.jsonl");
  auto opened = replay::open(links.path, replay_mode::strict);
  REQUIRE(opened);
  CHECK(ask(*opened, "a", "1") == "one");
  CHECK_FALSE(transcript_reader::open(links.path + "/chosen.jsonl"));
}

TEST_CASE("what cannot be replayed is told before anything is asked") {
  const scratch folder;
  CHECK(has(replay::open(folder.path, replay_mode::strict).error().message(), "has no request"));
  CHECK_FALSE(replay::open(folder.path + "/none", replay_mode::strict));
  std::ofstream(folder.path + "/bad.jsonl") << "nothing\n";
  CHECK(has(replay::open(folder.path, replay_mode::strict).error().message(), "bad.jsonl"));
}

TEST_CASE("an answer is as it was recorded, a refusal one of the path's dialect") {
  recorded_exchange one;
  one.status = 529;
  one.response = "{\"type\":\"error\"}";
  auto answer = answer_of(one, messages_path);
  CHECK(answer.status == 529);
  CHECK(answer.body == one.response);
  CHECK_FALSE(answer.streams);
  one.status = 200;
  one.response = "event: ping\n\n";
  one.response_cut = true;
  answer = answer_of(one, messages_path);
  CHECK(answer.streams);
  CHECK(answer.cut);
  one.status = 0;
  CHECK(answer_of(one, messages_path).status == 502);
  const auto refused = answer_of(replay_refusal{"why"}, "/v1/chat/completions");
  CHECK(refused.status == 400);
  CHECK(has(refused.body, "\"param\""));
  CHECK(has(refused.body, "why"));
  CHECK_FALSE(has(answer_of(replay_refusal{"why"}, messages_path).body, "\"param\""));
}

TEST_CASE("a stream of Chat Completions tells the usage that its client did not ask for") {
  recorded_exchange one;
  one.status = 200;
  one.outcome = "settled";
  one.tokens = {3, 4, 0, 0, 7};
  one.response = "data: {\"choices\":[{\"delta\":{}}]}\n\ndata: [DONE]\n\n";
  const std::string path = "/v1/chat/completions";
  const auto whole = answer_of(one, path).body;
  CHECK(has(whole, "\"prompt_tokens\":10"));
  CHECK(has(whole, "\"cached_tokens\":7"));
  CHECK(whole.ends_with("}\n\ndata: [DONE]\n\n"));
  auto told = one;
  told.response = whole;
  CHECK(answer_of(told, path).body == whole);
  one.outcome = "charged_by_bound";
  CHECK(answer_of(one, path).body == one.response);
}
