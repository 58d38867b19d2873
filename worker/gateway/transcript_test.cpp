#include "worker/gateway/transcript.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

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
  unbilled.request = std::make_shared<std::string>(noise(1'000'000));
  unbilled.outcome = "not_billed";
  for (int i = 0; i < 10; ++i) REQUIRE(opened->append(unbilled));
  for (int i = 0; i < 10; ++i) {
    unbilled.request = std::make_shared<std::string>(noise(9'000));
    REQUIRE(opened->append(unbilled));
  }
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
