#include "worker/gateway/transcript_reader.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include <zstd.h>

#include "common/cpu_time.hpp"
#include "common/hash.hpp"
#include "worker/gateway/base64.hpp"
#include "worker/gateway/transcript.hpp"

using namespace germline;
using namespace germline::worker;
using nlohmann::json;

namespace {

struct scratch {
  scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~scratch() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name = "att_1") const { return path + "/" + name + ".jsonl"; }
  std::string text(const std::string& name = "att_1") const {
    std::ifstream in(file(name));
    std::ostringstream whole;
    whole << in.rdbuf();
    return whole.str();
  }
  void write(const std::string& bytes, const std::string& name = "att_1") const {
    std::ofstream(file(name), std::ios::trunc) << bytes;
  }
  transcript open(const std::string& name = "att_1", std::vector<std::string> secrets = {}) const {
    auto opened = transcript::open(path, name, 64 << 20, std::move(secrets));
    REQUIRE(opened);
    return std::move(*opened);
  }
  std::string path = "/tmp/transcript_reader_test.XXXXXX";
};

transcript_entry entry(std::string request, std::string response = "{}") {
  transcript_entry made;
  made.path = "/v1/messages";
  made.request = std::make_shared<std::string>(std::move(request));
  made.response = std::move(response);
  made.outcome = "settled";
  made.status = 200;
  made.tokens.input = 7;
  made.cost_nanousd = 1;
  return made;
}

std::string message(int number) {
  return R"({"role":"user","content":")" + std::string(200, static_cast<char>('a' + number % 26)) +
         std::to_string(number) + "\"}";
}

/// The request of that turn of a conversation.
std::string turn(int number) {
  std::string text = R"({"model":"m","messages":[)";
  for (int i = 0; i <= number; ++i) text += (i > 0 ? "," : "") + message(i);
  return text + "]}";
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  REQUIRE(at != text.npos);
  return text.replace(at, what.size(), by);
}

/// A line of an earlier version.
std::string entry_line() {
  return R"({"path":"/v1/messages","request":"q","response":"","at":")" + std::string(100, 'x') +
         "\"}\n";
}

}  // namespace

TEST_CASE("what is read is what was written, byte for byte, and its beginnings are stored once") {
  const scratch folder;
  auto file = folder.open();
  std::size_t raw = 0;
  for (int i = 0; i < 100; ++i) {
    raw += turn(i).size();
    REQUIRE(file.append(entry(turn(i), "answer \xff\xfe " + std::string(300, '\\'))));
  }
  REQUIRE(file.append(entry("no JSON \xc3 at all")));
  REQUIRE(file.append(entry(std::string(20 << 20, 'x') + "large")));
  const auto reader = transcript_reader::open(folder.file());
  REQUIRE(reader);
  REQUIRE(reader->size() == 102);
  CHECK(reader->damaged_lines() == 0);
  CHECK(reader->is_complete());
  CHECK(reader->ends_whole());
  for (int i = 0; i < 100; ++i) {
    const auto one = reader->read(static_cast<std::size_t>(i));
    REQUIRE(one);
    CHECK(one->request == turn(i));
    CHECK(one->response == "answer \xff\xfe " + std::string(300, '\\'));
    CHECK(one->tokens.input == 7);
  }
  CHECK(reader->read(100)->request == "no JSON \xc3 at all");
  CHECK(reader->read(101)->request == std::string(20 << 20, 'x') + "large");
  CHECK(reader->read_head(5)->request.empty());
  CHECK(reader->read_head(5)->path == "/v1/messages");
  CHECK(raw > 1'000'000);
  CHECK(folder.text().size() < raw / 10);
}

TEST_CASE("a transcript that is gone on with knows what it has, also behind a torn line") {
  const scratch folder;
  {
    auto file = folder.open();
    REQUIRE(file.append(entry(turn(3))));
  }
  const auto whole = folder.text();
  {
    auto file = folder.open();
    REQUIRE(file.append(entry(turn(6))));
  }
  // As a kill at any byte leaves it.
  const auto more = folder.text().substr(whole.size());
  for (std::size_t torn = 1; torn <= more.size(); torn += torn < 300 ? 1 : 37) {
    CAPTURE(torn);
    folder.write(whole + more.substr(0, torn));
    for (int i = 0; i < 2; ++i) {
      auto again = folder.open();
      REQUIRE(again.append(entry(turn(7 + i))));
    }
    const auto reader = transcript_reader::open(folder.file());
    REQUIRE(reader);
    CHECK(reader->damaged_lines() == 0);
    CHECK(reader->ends_whole());
    REQUIRE(reader->size() == (torn == more.size() ? 4 : 3));
    REQUIRE(reader->read(0)->request == turn(3));
    REQUIRE(reader->read(reader->size() - 2));
    REQUIRE(reader->read(reader->size() - 2)->request == turn(7));
    REQUIRE(reader->read(reader->size() - 1)->request == turn(8));
  }
}

TEST_CASE("a line of pieces that is cut off is none, though what follows is whole") {
  const scratch folder;
  {
    auto file = folder.open();
    REQUIRE(file.append(entry(turn(3))));
  }
  const auto text = folder.text();
  const auto line = text.substr(0, text.find('\n'));
  for (const auto bytes :
       {line.size() - 1, line.size() - 2, line.size() - 3, line.find("zstd") + 9}) {
    CAPTURE(bytes);
    folder.write(line.substr(0, bytes) + "\n" + text);
    const auto reader = transcript_reader::open(folder.file());
    REQUIRE(reader);
    CHECK(reader->damaged_lines() == 1);
    CHECK(reader->read(0)->request == turn(3));
  }
}

TEST_CASE("a text whose pieces lie in many frames, one after the other, is read in little time") {
  const scratch folder;
  std::string frames;
  std::string large(8 << 20, 'x');
  constexpr int count = 12;
  for (int i = 0; i < count; ++i) {
    large[0] = static_cast<char>('a' + i);
    std::string frame(::ZSTD_compressBound(large.size()), '\0');
    frame.resize(::ZSTD_compress(frame.data(), frame.size(), large.data(), large.size(), 3));
    json line = {
        {"from", 2 * i},
        {"pieces", json::array({json::array({sha256_hex(large.substr(0, 1)), 1}),
                                json::array({sha256_hex(large.substr(1)), large.size() - 1})})},
        {"zstd", to_base64(frame)}};
    frames += line.dump() + "\n";
  }
  json one = {{"path", "/v1/messages"}, {"response", ""}, {"request", json::array()}};
  std::string wanted;
  for (int i = 0; i < 16'384; ++i) {
    one["request"].push_back(2 * (i % count));
    wanted += static_cast<char>('a' + i % count);
  }
  folder.write(frames + one.dump() + "\n");
  const auto reader = transcript_reader::open(folder.file());
  REQUIRE(reader);
  const auto began_ms = thread_cpu_ms();
  const auto read = reader->read(0);
  REQUIRE(read);
  CHECK(read->request == wanted);
  CHECK(thread_cpu_ms() - began_ms < 5'000);
}

TEST_CASE("numbers that none can be are damage, and so is a piece of nothing") {
  const scratch folder;
  const auto read = [&](const std::string& members) {
    folder.write(R"({"path":"/v1/messages","at":")" + std::string(100, 'x') +
                 R"(","request":"q",)" + members + "}\n");
    const auto reader = transcript_reader::open(folder.file());
    REQUIRE(reader);
    return static_cast<bool>(reader->read(0));
  };
  CHECK(read(R"("cost_nanousd":9223372036854775807)"));
  CHECK_FALSE(read(R"("cost_nanousd":9223372036854775808)"));
  CHECK_FALSE(read(R"("cost_nanousd":-1)"));
  CHECK_FALSE(read(R"("status":1e3)"));
  CHECK_FALSE(read(R"("usage":{"input_tokens":18446744073709551615})"));
  CHECK_FALSE(read(R"("response":[[0,18446744073709551615]])"));
  CHECK_FALSE(read(R"("response":[18446744073709551615])"));
  folder.write("{\"from\":0,\"pieces\":[[\"a\",0]],\"zstd\":\"AAAA\"}\n" + entry_line());
  CHECK(transcript_reader::open(folder.file())->damaged_lines() == 1);
}

TEST_CASE("what is no stream, though its first bytes look so, is known by its line") {
  const scratch folder;
  {
    auto file = folder.open();
    auto one = entry(turn(1), "data: is what I am");
    REQUIRE(file.append(one));
    one.stream = true;
    one.response = "\n";
    one.serial = 7;
    REQUIRE(file.append(one));
  }
  const auto reader = transcript_reader::open(folder.file());
  REQUIRE(reader);
  CHECK_FALSE(reader->read(0)->is_stream());
  CHECK(reader->read(1)->is_stream());
  CHECK(reader->read(1)->serial == 7);
  folder.write(exported_line(*reader->read(0)) + exported_line(*reader->read(1)), "att_2");
  const auto again = transcript_reader::open(folder.file("att_2"));
  CHECK_FALSE(again->read(0)->is_stream());
  CHECK(again->read(1)->is_stream());
  CHECK(again->read(1)->serial == 7);
}

TEST_CASE("two attempts write the same at once, each into a file of its own") {
  const scratch folder;
  auto one = folder.open("att_1");
  auto other = folder.open("att_2");
  for (int i = 0; i < 20; ++i) {
    REQUIRE(one.append(entry(turn(i))));
    REQUIRE(other.append(entry(turn(i))));
  }
  std::filesystem::remove(folder.file("att_1"));
  const auto reader = transcript_reader::open(folder.file("att_2"));
  REQUIRE(reader);
  for (std::size_t i = 0; i < 20; ++i) CHECK(reader->read(i)->request == turn(static_cast<int>(i)));
}

TEST_CASE("secrets are out before a text is cut") {
  const scratch folder;
  const std::string secret = R"("},{"role":"assistant-secret)";  // a cut lies within it
  auto file = folder.open("att_1", {secret, "other-secret-key"});
  REQUIRE(
      file.append(entry(replaced(turn(5), R"("},{"role":"user)", secret), "a other-secret-key")));
  auto cut = entry(turn(6), "it ends with other-secret-k");
  cut.response_cut = true;
  REQUIRE(file.append(cut));
  auto refused = entry(std::string(4'090, 'x') + "other-secret-key");
  refused.outcome = "refused";
  REQUIRE(file.append(refused));
  const auto reader = transcript_reader::open(folder.file());
  REQUIRE(reader);
  std::string all = folder.text();
  for (std::size_t i = 0; i < reader->size(); ++i) all += exported_line(*reader->read(i));
  CHECK(reader->read(0)->request.find("[redacted]") != std::string::npos);
  CHECK(reader->read(1)->response == "it ends with ");
  CHECK(all.find("assistant-secret") == std::string::npos);
  CHECK(all.find("other") == std::string::npos);
}

TEST_CASE("what is exported is read again as the same") {
  const scratch folder;
  auto file = folder.open();
  auto events = entry(turn(5), "event: x\n\n");
  events.stream = true;
  REQUIRE(file.append(events));
  REQUIRE(file.append(entry("bytes \xff", "")));
  const auto reader = transcript_reader::open(folder.file());
  REQUIRE(reader);
  const auto whole = exported_line(*reader->read(0));
  CHECK(json::parse(whole)["request"] == turn(5));
  folder.write(whole + exported_line(*reader->read(1)), "att_2");
  const auto again = transcript_reader::open(folder.file("att_2"));
  REQUIRE(again);
  REQUIRE(again->size() == 2);
  CHECK(exported_line(*again->read(0)) == whole);
  CHECK(again->read(0)->is_stream());
  CHECK(again->read(1)->request == "bytes \xff");
  CHECK_FALSE(again->read(1)->is_stream());
}

TEST_CASE("damage is told, of what it concerns alone") {
  const scratch folder;
  {
    auto file = folder.open();
    for (int i = 0; i < 4; ++i) REQUIRE(file.append(entry(turn(i))));
  }
  const auto good = folder.text();
  const auto lines_of = [](const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line + "\n");
    return lines;
  };
  const auto lines = lines_of(good);
  REQUIRE(lines.size() == 8);  // of each request what is new, and the entry
  const auto why = [&](const std::string& text, std::size_t at) {
    folder.write(text);
    const auto reader = transcript_reader::open(folder.file());
    REQUIRE(reader);
    REQUIRE(reader->size() > at);
    const auto read = reader->read(at);
    return read ? std::string("whole") : read.error().message();
  };
  CHECK(why(good, 3) == "whole");
  // A line of pieces that is not there: what needs it cannot be read, the rest can.
  auto missing = good;
  missing.erase(good.find(lines[4]), lines[4].size());
  CHECK(why(missing, 1) == "whole");
  CHECK(why(missing, 2).find("is missing") != std::string::npos);
  CHECK(why(missing, 3).find("is missing") != std::string::npos);
  CHECK(why(good + lines[4], 2).find("is there twice") != std::string::npos);
  CHECK(why(good + lines[4], 1) == "whole");
  // Cut off in mid-line.
  folder.write(good.substr(0, good.size() - 10));
  CHECK(transcript_reader::open(folder.file())->size() == 3);
  CHECK_FALSE(transcript_reader::open(folder.file())->ends_whole());
  // Another byte in a frame.
  const auto frame = good.find("\"zstd\":\"") + 40;
  auto flipped = good;
  flipped[frame] = flipped[frame] == 'A' ? 'B' : 'A';
  CHECK(why(flipped, 0) != "whole");
  // A frame that says to be huge.
  const auto first = json::parse(lines[0]);
  auto huge = first;
  huge["pieces"][0][1] = std::uint64_t{1} << 62;
  CHECK(why(replaced(good, lines[0], huge.dump() + "\n"), 0).find("is missing") !=
        std::string::npos);
  huge["pieces"][0][1] = 8 << 20;
  CHECK(why(replaced(good, lines[0], huge.dump() + "\n"), 0) != "whole");
  // Another text under its name.
  auto other = first;
  other["pieces"][0][0] = std::string(64, '0');
  CHECK(why(replaced(good, lines[0], other.dump() + "\n"), 0).find("not what it was") !=
        std::string::npos);
}

TEST_CASE("no form of a line brings more than an error") {
  const scratch folder;
  const std::string head = R"({"path":"/v1/messages","status":200,"at":")" + std::string(100, 'x') +
                           R"(","response":"","request":)";
  for (const char* request : {"[0]", "[[0,1]]", "[[0,9223372036854775807]]",
                              "[[9223372036854775807,9223372036854775807]]", "[-1]", "[[0,-1]]",
                              "[[0]]", "[{}]", "[1e300]", "{}", "7", "null", "[[[0,1]]]"}) {
    CAPTURE(request);
    folder.write(head + request + "}\n");
    const auto reader = transcript_reader::open(folder.file());
    REQUIRE(reader);
    CHECK_FALSE(reader->read(0));
  }
  for (const char* line :
       {"", "nothing", "{\"from\":0}", "{\"from\":0,\"pieces\":7,\"zstd\":\"\"}", "[]", "{}",
        "{\"x\":1}", "{\"from\":-1,\"pieces\":[[\"a\",1]],\"zstd\":\"AAAA\"}",
        "{\"from\":9223372036854775807,"
        "\"pieces\":[[\"a\",1]],\"zstd\":\"AAAA\"}",
        "\"path\"",
        "{\"from\":0,\"pieces\":[[\"a\",-1]],"
        "\"zstd\":\"AAAA\"}"}) {
    CAPTURE(line);
    folder.write(head + "\"good\"}\n" + line + "\n");
    const auto reader = transcript_reader::open(folder.file());
    REQUIRE(reader);
    CHECK(reader->size() == 1);
    CHECK(reader->damaged_lines() == (*line == '\0' ? 0 : 1));
    CHECK(reader->read(0)->request == "good");
    folder.write(std::string(line) + "\n");
    CHECK(static_cast<bool>(transcript_reader::open(folder.file())) == (*line == '\0'));
  }
  folder.write(head + "\"a\"}\n{\"left_out\": \"refused\"}\n");
  CHECK(transcript_reader::open(folder.file())->is_complete());
  for (const char* gap : {"{\"cut\": true}", "{\"lost\": 3}", "{\"left_out\": \"not_billed\"}"}) {
    folder.write(head + "\"a\"}\n" + gap + "\n");
    CHECK_FALSE(transcript_reader::open(folder.file())->is_complete());
  }
  CHECK_FALSE(transcript_reader::open(folder.path));
  CHECK_FALSE(transcript_reader::open(folder.file("none")));
}

TEST_CASE("a text that names a piece again and again is bounded") {
  const scratch folder;
  {
    auto file = folder.open();
    REQUIRE(file.append(entry(std::string(4 << 20, 'x'))));
  }
  std::string parts = "[0";
  for (int i = 0; i < 1'000; ++i) parts += ",0";
  folder.write(replaced(folder.text(), "\"request\":[0]", "\"request\":" + parts + "]"));
  const auto reader = transcript_reader::open(folder.file());
  REQUIRE(reader);
  const auto read = reader->read(0);
  REQUIRE_FALSE(read);
  CHECK(read.error().message().find("too long") != std::string::npos);
}
