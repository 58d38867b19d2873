#include "worker/gateway/transcript_pieces.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "worker/gateway/base64.hpp"
#include "worker/gateway/transcript_cuts.hpp"

using namespace germline;
using namespace germline::worker;
using nlohmann::json;

namespace {

std::vector<std::string> cut(const std::string& text) {
  const auto pieces = cut_pieces(text);
  return {pieces.begin(), pieces.end()};
}

std::string joined(const std::string& text) {
  std::string all;
  for (const auto piece : cut_pieces(text)) all += piece;
  return all;
}

}  // namespace

TEST_CASE("a request is cut before the comma of each element of its lists, and nowhere else") {
  using list = std::vector<std::string>;
  CHECK(cut(R"({"model":"m","messages":[{"a":[1,2]} , {"b":"],"}],"x":[1,2]})") ==
        list{R"({"model":"m","messages":[)", R"({"a":[1,2]} )", R"(, {"b":"],"})",
             R"(],"x":[1,2]})"});
  CHECK(cut(R"({"system":"[1,2]","tools":[1],"input":[2,3]})") ==
        list{R"({"system":"[1,2]","tools":[)", "1", R"(],"input":[)", "2", ",3", "]}"});
  CHECK(cut(R"({"messages":[ ]})").size() == 2);
  CHECK(cut(R"({"x":{"messages":[1,2]},"y":"messages","z":[3,4]})").size() == 1);
  // The values of other keys are no keys.
  CHECK(cut(R"({"x":"messages","y":[1,2]})").size() == 1);
  CHECK(cut(R"({"a\"messages":[1,2]})").size() == 1);
}

TEST_CASE("what is added to a conversation leaves the pieces before it as they were") {
  const std::string begin = R"({"messages":[{"role":"user"},{"role":"assistant"})";
  const auto before = cut(begin + "]}");
  const auto after = cut(begin + R"(,{"role":"user"}]})");
  CHECK(std::equal(before.begin(), before.end() - 1, after.begin()));
}

TEST_CASE("pieces put together are the text, whatever it is") {
  const std::string deep(100'000, '[');
  for (const std::string& text :
       {std::string(), std::string("no JSON, \"messages\":[1,2]"), std::string("[1,[2,3]]"),
        R"({"messages":[)" + deep, R"({"messages":)" + deep, R"({"messages":[1,"\)" + std::string(),
        std::string(R"({"messages":["unfinished)"), std::string(R"({"messages":[1]]]]}}}},2,3)"),
        std::string(R"({"messages":[1,2],"messages":[3,4]})"),
        std::string("{\"messages\":[1,\0,2]}", 20), std::string("}}}}{\"messages\":[1,2]}"),
        std::string(R"({"messages":[1,2],"tools":[,,,]})")}) {
    CAPTURE(text.substr(0, 60));
    CHECK(joined(text) == text);
  }
  std::string many = "{\"messages\":[0";
  for (int i = 0; i < 100'000; ++i) many += ",1";
  CHECK(cut(many).size() == max_cuts + 1);
  CHECK(joined(many) == many);
  const std::string large(max_piece_bytes * 2 + 1, 'x');
  CHECK(cut(large).size() == 3);
  CHECK(joined(large) == large);
}

TEST_CASE("messages are counted by the list that there is") {
  CHECK(count_messages(R"({"tools":[1,2,3],"messages":[{"a":[1,2]},{}]})") == 2);
  CHECK(count_messages(R"({"input":[1,2,3]})") == 3);
  CHECK(count_messages(R"({"input":"text"})") == 0);
  CHECK(count_messages(R"({"messages":[]})") == 0);
  CHECK(count_messages("hello") == 0);
}

TEST_CASE("a piece is stored once, small ones stand where they are, and neighbours are one part") {
  piece_table table;
  const std::string a(100, 'a');
  const std::string b(100, 'b');
  const auto text = [&](const std::string& messages) {
    return R"({"messages":[)" + messages + R"(],"max_tokens":)" + std::string(200, '1') + "}";
  };
  const auto first = table.store(text("\"" + a + "\",\"" + b + "\""));
  CHECK(first == json::array({R"({"messages":[)", json::array({0, 3})}));
  const auto lines = table.pending_lines();
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 1);
  CHECK(json::parse(lines)["from"] == 0);
  CHECK(json::parse(lines)["pieces"].size() == 3);
  table.commit();
  CHECK(table.pending_lines().empty());
  const auto second = table.store(text("\"" + a + "\",\"" + b + "\",\"c\",\"" + a + "\""));
  CHECK(second == json::array({R"({"messages":[)", json::array({0, 2}), ",\"c\"", 3, 2}));
  CHECK(json::parse(table.pending_lines())["from"] == 3);
  CHECK(table.store("short") == "short");
}

TEST_CASE("what was not written is not taken for written, and its numbers are not used again") {
  piece_table table;
  const std::string text(300, 'a');
  CHECK(table.store(text) == json::array({0}));
  table.roll_back();
  CHECK(table.pending_lines().empty());
  CHECK(table.store(text) == json::array({1}));
  CHECK(json::parse(table.pending_lines())["from"] == 1);
}

TEST_CASE("an attempt that has many pieces gets no more of them for its lists") {
  piece_table table;
  std::size_t stored = 0;
  for (int request = 0; request < 10; ++request) {
    std::string text = R"({"messages":[0)";
    for (int i = 0; i < 10'000; ++i) {
      text += ",\"" + std::string(60, 'x') + std::to_string(request * 10'000 + i) + "\"";
    }
    stored += table.store(text + "]}").is_array() ? 1 : 0;
    table.commit();
  }
  CHECK(stored == 10);
  CHECK(table.size() >= max_pieces);
  CHECK(table.size() <= max_pieces + 10'000 + 10);
}

TEST_CASE("what costs nothing leaves places for what is paid, and what is refused takes none") {
  const auto list = [](int from, int count) {
    std::string text = R"({"messages":[0)";
    for (int i = from; i < from + count; ++i) {
      text += ",\"" + std::string(60, 'x') + std::to_string(i) + "\"";
    }
    return text + "]}";
  };
  piece_table table;
  CHECK(table.store(list(0, 10'000), piece_share::none).size() == 1);
  table.commit();
  for (int i = 1; i < 20; ++i) {
    table.store(list(10'000 * i, 10'000), piece_share::free);
    table.commit();
  }
  CHECK(table.size() < max_free_pieces + 10'000 + 20);
  const auto before = table.size();
  for (int i = 20; i < 23; ++i) {
    table.store(list(10'000 * i, 10'000));
    table.commit();
  }
  CHECK(table.size() >= before + 30'000);
}

TEST_CASE("a frame holds little, or one piece") {
  piece_table table;
  std::string text = R"({"messages":[0)";
  for (int i = 0; i < 100; ++i) {
    text += ",\"" + std::to_string(i) + std::string(i == 50 ? 1'000'000 : 10'000, 'x') + "\"";
  }
  table.store(text + "]}");
  std::istringstream lines(table.pending_lines());
  std::size_t frames = 0;
  for (std::string line; std::getline(lines, line); ++frames) {
    const auto pieces = json::parse(line)["pieces"];
    std::size_t bytes = 0;
    for (const auto& piece : pieces) bytes += piece[1].get<std::size_t>();
    CHECK((bytes <= frame_bytes || pieces.size() == 1));
  }
  CHECK(frames > 4);
}

TEST_CASE("a frame gives what it says to hold, and nothing else") {
  piece_table table;
  const std::string text(1'000, 'x');
  table.store(text);
  const auto line = json::parse(table.pending_lines());
  const auto frame = line["zstd"].get<std::string>();
  CHECK(*unpack_frame(frame, 1'000) == text);
  CHECK_FALSE(unpack_frame(frame, 999));
  CHECK_FALSE(unpack_frame(frame, 1'001));
  CHECK_FALSE(unpack_frame(frame, max_frame_bytes));
  CHECK_FALSE(unpack_frame(frame, std::size_t{1} << 60));
  CHECK_FALSE(unpack_frame(frame.substr(0, frame.size() - 4), 1'000));
  CHECK_FALSE(unpack_frame("", 1));
  CHECK_FALSE(unpack_frame("!!!!", 3));
}

TEST_CASE("base64 is read as it was written, and refused where it was not") {
  for (const std::string& bytes : {std::string(), std::string("a"), std::string("ab"),
                                   std::string("abc"), std::string("\0\xff\n", 3)}) {
    CHECK(*from_base64(to_base64(bytes)) == bytes);
  }
  CHECK(to_base64("ab") == "YWI=");
  for (const char* bad : {"YWI", "Y*I=", "\n\n\n\n", "YWI=YWI=="}) CHECK_FALSE(from_base64(bad));
}
