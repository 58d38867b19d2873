#include "worker/gateway/transcript.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "common/cpu_time.hpp"

using namespace germline::worker;

namespace {

struct scratch {
  scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~scratch() { std::filesystem::remove_all(path); }
  std::string path = "/tmp/transcript_test.XXXXXX";
};

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// What does not compress.
std::string noise(std::size_t bytes) {
  static std::mt19937 draw(7);
  std::string text(bytes, 'x');
  for (auto& c : text) c = static_cast<char>('0' + draw() % 64);
  return text;
}

}  // namespace

TEST_CASE("secrets are taken out, known ones and what looks like one") {
  CHECK(redacted("a secret-1 b sk-ant-api03-x_Y. c", {"secret-1"}) ==
        "a [redacted] b [redacted]. c");
  CHECK(redacted("nothing", {""}) == "nothing");
  CHECK(redacted(R"(a \u0073ecret\u002D1 b)", {"secret-1"}) == "a [redacted] b");
  CHECK(redacted("sk-ant-sk-ant-", {}) == "[redacted]");
  // Quadratic time would be minutes.
  std::string full;
  for (int i = 0; i < 500'000; ++i) full += "secret-1,";
  CHECK(redacted(full, {"secret-1"}).size() == 500'000 * std::string("[redacted],").size());
}

TEST_CASE("a transcript has a line a request, and is cut at its bound with a mark") {
  const scratch folder;
  auto opened = transcript::open(folder.path + "/t", "att_1", 700, {"hidden-key"});
  REQUIRE(opened);
  transcript_entry entry;
  entry.path = "/v1/messages";
  entry.request = std::make_shared<std::string>("with hidden-key");
  entry.cost_nanousd = 1;
  entry.response = "bad \xff utf8";
  for (int i = 0; i < 10; ++i) REQUIRE(opened->append(entry));
  const std::string text = read(folder.path + "/t/att_1.jsonl");
  CHECK(text.find("hidden-key") == std::string::npos);
  CHECK(text.find("with [redacted]") != std::string::npos);
  CHECK(text.size() <= 700 + 14);
  CHECK(text.ends_with("}\n{\"cut\": true}\n"));
  CHECK(text.find("\"cut\"") == text.rfind("\"cut\""));
}

TEST_CASE("what is refused, or costs nothing, cannot end a transcript") {
  const scratch folder;
  auto opened = transcript::open(folder.path + "/t", "att_1", 100'000, {});
  REQUIRE(opened);
  transcript_entry refused;
  refused.request = std::make_shared<std::string>(noise(1'000'000));
  refused.outcome = "refused";
  for (int i = 0; i < 100; ++i) {
    refused.request = std::make_shared<std::string>(noise(1'000'000));
    REQUIRE(opened->append(refused));
  }
  transcript_entry unbilled;
  unbilled.outcome = "not_billed";
  for (int i = 0; i < 10; ++i) {
    unbilled.request = std::make_shared<std::string>(noise(9'000));
    REQUIRE(opened->append(unbilled));
  }
  unbilled.request = std::make_shared<std::string>("short");
  REQUIRE(opened->append(unbilled));  // behind what did not fit nothing is written
  transcript_entry charged;
  charged.request = std::make_shared<std::string>(noise(40'000));
  charged.outcome = "settled";
  charged.cost_nanousd = 1;
  REQUIRE(opened->append(charged));
  REQUIRE(opened->append_lost(3));
  const std::string text = read(folder.path + "/t/att_1.jsonl");
  const auto count = [&](const std::string& part) {
    int found = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
    return found;
  };
  CHECK(text.size() <= 100'000);
  CHECK(count("\"outcome\":\"refused\"") == 2);
  CHECK(count("\"request_cut\":true") == 2);
  CHECK(count("{\"left_out\": \"refused\"}\n") == 1);
  CHECK(count("\"outcome\":\"not_billed\"") == 4);
  CHECK(count("{\"left_out\": \"not_billed\"}\n") == 1);
  CHECK(count("\"outcome\":\"settled\"") == 1);
  CHECK(text.ends_with("}\n{\"lost\": 3}\n"));
  CHECK(text.find("\"cut\"") == std::string::npos);
}

TEST_CASE("what costs nothing does not bring the cut about where little is left") {
  const scratch folder;
  auto opened = transcript::open(folder.path, "att_1", 100'000, {});
  REQUIRE(opened);
  transcript_entry charged;
  charged.cost_nanousd = 1;
  charged.request = std::make_shared<std::string>(noise(90'000));
  REQUIRE(opened->append(charged));
  transcript_entry unbilled;
  unbilled.outcome = "not_billed";
  unbilled.request = std::make_shared<std::string>(noise(40'000));
  REQUIRE(opened->append(unbilled));
  charged.request = std::make_shared<std::string>("the last one");
  REQUIRE(opened->append(charged));
  const auto text = read(folder.path + "/att_1.jsonl");
  CHECK(text.find("\"cut\"") == text.npos);
  CHECK(text.find("the last one") != text.npos);
}

TEST_CASE("what is left out is not redacted, hashed or compressed first") {
  const scratch folder;
  auto opened = transcript::open(folder.path, "att_1", 100'000, {"some-secret-of-the-gateway"});
  REQUIRE(opened);
  transcript_entry unbilled;
  unbilled.outcome = "not_billed";
  unbilled.request = std::make_shared<std::string>(noise(32 << 20));
  const auto took_ms = [&](int times) {
    const auto began_ms = germline::thread_cpu_ms();
    for (int i = 0; i < times; ++i) REQUIRE(opened->append(unbilled));
    return germline::thread_cpu_ms() - began_ms;
  };
  const auto first_ms = took_ms(1);
  CHECK(took_ms(20) < first_ms + 500);
}

TEST_CASE("one writer at a time, and who comes later knows what was cut and left out") {
  const scratch folder;
  const auto path = folder.path + "/att_1.jsonl";
  transcript_entry unbilled;
  unbilled.path = "/v1/messages";
  unbilled.outcome = "not_billed";
  transcript_entry charged = unbilled;
  charged.outcome = "settled";
  charged.cost_nanousd = 1;
  const auto open = [&] { return transcript::open(folder.path, "att_1", 100'000, {}); };
  const auto count = [&](const std::string& part) {
    const auto text = read(path);
    int found = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
    return found;
  };
  {
    auto one = open();
    REQUIRE(one);
    const auto other = open();
    REQUIRE_FALSE(other);
    CHECK(other.error().message().find("is being written by another gateway") != std::string::npos);
    unbilled.request = std::make_shared<std::string>(noise(40'000));
    REQUIRE(one->append(unbilled));
  }
  {
    auto again = open();  // of the half of 100,000 some 30,000 are used up
    REQUIRE(again);
    unbilled.request = std::make_shared<std::string>(noise(30'000));
    REQUIRE(again->append(unbilled));
    CHECK(count("not_billed\"}\n") == 1);
  }
  {
    auto again = open();
    REQUIRE(again);
    unbilled.request = std::make_shared<std::string>("short");
    REQUIRE(again->append(unbilled));
    CHECK(count("short") == 0);
    CHECK(count("not_billed\"}\n") == 1);
    charged.request = std::make_shared<std::string>(noise(100'000));
    REQUIRE(again->append(charged));
    CHECK(count("{\"cut\": true}\n") == 1);
  }
  auto again = open();
  REQUIRE(again);
  charged.request = std::make_shared<std::string>("short");
  REQUIRE(again->append(charged));
  CHECK(count("short") == 0);
}

TEST_CASE(
    "a request that is kept before its entry is bounded and has no secret, as the entry has") {
  const scratch folder;
  auto opened = transcript::open(folder.path + "/t", "att_1", 10'000, {"hidden-key"});
  REQUIRE(opened);
  REQUIRE(opened->keep_request(1, "with hidden-key"));
  transcript_entry entry;
  entry.kept_request = 1;
  entry.cost_nanousd = 1;
  REQUIRE(opened->append(entry));
  const auto file = folder.path + "/t/att_1.jsonl";
  CHECK(read(file).find("with [redacted]") != std::string::npos);
  CHECK(read(file).find("hidden-key") == std::string::npos);
  CHECK(read(file).find("request_cut") == std::string::npos);
  REQUIRE(opened->keep_request(2, noise(20'000)));
  CHECK(read(file).ends_with("}\n{\"cut\": true}\n"));
  entry.kept_request = 2;
  REQUIRE(opened->append(entry));  // nothing is written any more
  CHECK(read(file).ends_with("}\n{\"cut\": true}\n"));
}

TEST_CASE(
    "requests that are kept for an entry are bounded in memory, and dropped where none comes") {
  const scratch folder;
  auto opened = transcript::open(folder.path + "/t", "att_1", 100'000'000, {});
  REQUIRE(opened);
  const auto file = folder.path + "/t/att_1.jsonl";
  const auto is_cut = [&](std::uint64_t id) {
    transcript_entry entry;
    entry.kept_request = id;
    entry.cost_nanousd = 1;
    REQUIRE(opened->append(entry));
    const auto all = read(file);
    const auto last = all.substr(all.rfind('\n', all.size() - 2) + 1);
    return last.find("\"request_cut\":true") != std::string::npos;
  };
  REQUIRE(opened->keep_request(1, "short"));
  opened->drop_request(1);
  CHECK(is_cut(1));
  // Of so many short messages none is a line of its own: they stand in what is kept.
  std::string messages;
  for (int i = 0; i < 12'000; ++i) messages += R"({"role":"user","content":"short enough"},)";
  for (std::uint64_t id = 10; id < 30; ++id) {
    const auto own = R"({"role":"user","content":")" + std::to_string(id) + R"("})";
    REQUIRE(opened->keep_request(id, R"({"messages":[)" + messages + own + "]}"));
  }
  CHECK(is_cut(10));
  CHECK_FALSE(is_cut(29));
}
