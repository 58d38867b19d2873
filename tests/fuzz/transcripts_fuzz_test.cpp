// Feeds transcripts with mutated requests, and their reader with mutated files. A case passes when
// what is read is what was written without its secrets, byte for byte, or an error that says why it
// is not; and when what was read can be shown.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/render/conversation.hpp"
#include "tests/fuzz/fuzzing.hpp"
#include "worker/gateway/transcript.hpp"
#include "worker/gateway/transcript_cuts.hpp"
#include "worker/gateway/transcript_reader.hpp"

using namespace germline;
using namespace germline::tests;
using namespace germline::worker;

namespace {

const std::string secret = "a-secret-of-the-gateway";

struct scratch {
  scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~scratch() { std::filesystem::remove_all(path); }
  std::string path = "/tmp/transcripts_fuzz.XXXXXX";
};

std::string slurp(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// A request of a conversation with so many messages.
std::string conversation(std::size_t messages, random_source& random) {
  std::string text = R"({"model":"m","system":[{"type":"text","text":"s"}],"messages":[)";
  for (std::size_t i = 0; i < messages; ++i) {
    text += (i > 0 ? "," : "") + std::string(R"({"role":"user","content":")") +
            std::string(1 + 37 * i % 400, static_cast<char>('a' + i % 26)) +
            (one_in(5, random) ? secret : "") + R"(\"h\u00e4"})";
  }
  return text + "]}";
}

transcript_entry entry(const std::string& path, std::string request, std::string response) {
  transcript_entry made;
  made.path = path;
  made.request = std::make_shared<std::string>(std::move(request));
  made.response = std::move(response);
  made.status = 200;
  made.outcome = "settled";
  made.cost_nanousd = 1;
  return made;
}

void show(const recorded_exchange& one) {
  cli::conversation_exchange shown;
  shown.request = one.request;
  shown.response = one.response;
  shown.path = one.path;
  const auto text = cli::conversation({}, true).tell(shown);
  CHECK(text.find('\x1b') == text.npos);
}

}  // namespace

TEST_CASE("whatever is asked is read as it was, without its secrets") {
  seeded_random random(fuzz_seed());
  CAPTURE(fuzz_seed());
  const scratch folder;
  auto file = transcript::open(folder.path, "att_1", std::int64_t{1} << 40, {secret});
  REQUIRE(file);
  std::vector<std::pair<std::string, std::string>> written;
  for (std::size_t round = 0; round < fuzz_rounds(1'000); ++round) {
    const auto request = mutate_bytes(conversation(random.below(30), random), 4, random);
    const auto response =
        mutate_bytes("event: x\ndata: {\"a\":[" + secret + "\x1b]}\n\n", 3, random);
    std::string joined;
    for (const auto piece : cut_pieces(request)) joined += piece;
    REQUIRE(joined == request);
    REQUIRE(file->append(entry("/v1/messages", request, response)));
    written.emplace_back(redacted(request, {secret}), redacted(response, {secret}));
  }
  const auto reader = transcript_reader::open(folder.path + "/att_1.jsonl");
  REQUIRE(reader);
  REQUIRE(reader->size() == written.size());
  CHECK(reader->damaged_lines() == 0);
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto one = reader->read(i);
    REQUIRE(one);
    REQUIRE(one->request == written[i].first);
    REQUIRE(one->response == written[i].second);
    REQUIRE(one->request.find(secret) == one->request.npos);
    show(*one);
  }
}

TEST_CASE("of a damaged file what is read is as it was, or an error") {
  seeded_random random(fuzz_seed());
  CAPTURE(fuzz_seed());
  const scratch folder;
  const auto path = folder.path + "/att_1.jsonl";
  std::vector<std::string> requests;
  {
    auto file = transcript::open(folder.path, "att_1", 1 << 30, {});
    REQUIRE(file);
    for (std::size_t i = 0; i < 8; ++i) {
      requests.push_back(conversation(3 * i, random));
      REQUIRE(file->append(entry(std::to_string(i), requests.back(), std::string(100, 'r'))));
    }
  }
  std::vector<std::string> lines;
  std::istringstream in(slurp(path));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::size_t whole = 0;
  std::size_t damaged = 0;
  for (std::size_t round = 0; round < fuzz_rounds(2'000); ++round) {
    const auto at = random.below(lines.size());
    const bool is_entry = !lines[at].starts_with("{\"from\":");
    std::string text;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      // Only the number that a line of pieces begins with has nothing to check it by.
      const auto kept = is_entry || i != at ? 0 : lines[i].find("\"pieces\"");
      text += i == at ? lines[i].substr(0, kept) + mutate_bytes(lines[i].substr(kept), 3, random)
                      : lines[i];
      text += "\n";
    }
    std::ofstream(path, std::ios::trunc) << text;
    const auto reader = transcript_reader::open(path);
    REQUIRE(reader);
    for (std::size_t i = 0; i < reader->size(); ++i) {
      const auto one = reader->read(i);
      ++(one ? whole : damaged);
      if (!one) {
        CHECK_FALSE(one.error().message().empty());
        continue;
      }
      show(*one);
      if (is_entry) continue;  // it may name other pieces now
      REQUIRE(one->path.size() == 1);
      CHECK(one->request == requests[static_cast<std::size_t>(one->path[0] - '0')]);
    }
  }
  CHECK(whole > damaged);
  CHECK(damaged > 0);
}
