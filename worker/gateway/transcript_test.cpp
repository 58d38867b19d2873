#include "worker/gateway/transcript.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
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
  entry.request = "with hidden-key";
  entry.response = "bad \xff utf8";
  for (int i = 0; i < 10; ++i) REQUIRE(opened->append(entry));
  const std::string text = read(folder.path + "/t/att_1.jsonl");
  CHECK(text.find("hidden-key") == std::string::npos);
  CHECK(text.find("with [redacted]") != std::string::npos);
  CHECK(text.size() <= 700 + 14);
  CHECK(text.ends_with("}\n{\"cut\": true}\n"));
  CHECK(text.find("\"cut\"") == text.rfind("\"cut\""));
}
