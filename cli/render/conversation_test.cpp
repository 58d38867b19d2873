#include "cli/render/conversation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "common/cpu_time.hpp"

using namespace germline::cli;

namespace {

using parts = std::vector<conversation_part>;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

conversation_exchange exchange(std::size_t number, std::string request, std::string response) {
  conversation_exchange one;
  one.number = number;
  one.at = "2026-01-02T03:04:05Z";
  one.path = "/v1/messages";
  one.status = 200;
  one.outcome = "settled";
  one.duration_ms = 1'200;
  one.input_tokens = 10;
  one.cached_tokens = 7;
  one.output_tokens = 4;
  one.cost_nanousd = 1'500'000;
  one.request = std::move(request);
  one.response = std::move(response);
  return one;
}

const std::string first_request =
    R"({"system":[{"type":"text","text":"Be good."}],"tools":[{"name":"bash"},{"name":"edit"}],)"
    R"("messages":[{"role":"user","content":"Look."}]})";
const std::string first_answer =
    R"({"role":"assistant","content":[{"type":"text","text":"I look."},{"type":"tool_use",)"
    R"("id":"t1","name":"bash","input":{"command":"ls"}}]})";
const std::string second_request =
    R"({"system":[{"type":"text","text":"Be good."}],"tools":[{"name":"bash"},{"name":"edit"}],)"
    R"("messages":[{"role":"user","content":"Look."},{"role":"assistant","content":[)"
    R"({"type":"text","text":"I look."},{"type":"tool_use","id":"t1","name":"bash","input":)"
    R"({"command":"ls"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",)"
    R"("is_error":true,"content":[{"type":"text","text":"no such file"}]}]}]})";

}  // namespace

TEST_CASE("requests and answers of Messages are read, whole and in a stream") {
  CHECK(request_parts(second_request) == parts{{"system", "Be good."},
                                               {"tools", "bash, edit"},
                                               {"user", "Look."},
                                               {"assistant", "I look."},
                                               {"assistant calls bash", R"({"command":"ls"})"},
                                               {"error of bash", "no such file"}});
  const parts answer{{"assistant", "I look."}, {"assistant calls bash", R"({"command":"ls"})"}};
  CHECK(answer_parts(first_answer) == answer);
  CHECK(answer_parts(
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
            "event: x\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
            "{\"type\":\"text_delta\",\"text\":\"I lo\"}}\n\n"
            "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"text\":\"ok.\"}}\n\n"
            "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
            "\"tool_use\",\"id\":\"t1\",\"name\":\"bash\",\"input\":{}}}\n\n"
            "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"partial_json\":"
            "\"{\\\"command\\\":\"}}\n\n"
            "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"partial_json\":"
            "\"\\\"ls\\\"}\"}}\n\n") == answer);
}

TEST_CASE("those of Chat Completions, whole and in a stream") {
  CHECK(
      request_parts(
          R"({"tools":[{"type":"function","function":{"name":"bash"}}],"messages":[)"
          R"({"role":"system","content":"Be good."},{"role":"user","content":[{"type":"text",)"
          R"("text":"Look."},{"type":"image_url","image_url":{"url":"data:image/png;base64,"}}]},)"
          R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",)"
          R"("function":{"name":"bash","arguments":"{}"}}]},)"
          R"({"role":"tool","tool_call_id":"c1","content":"done"}]})") ==
      parts{{"tools", "bash"},
            {"system", "Be good."},
            {"user", "Look."},
            {"user", "[image_url, 65 bytes]"},
            {"assistant calls bash", "{}"},
            {"result of bash", "done"}});
  const parts answer{
      {"assistant thinks", "hm"}, {"assistant", "hi"}, {"assistant calls bash", "{\"a\":1}"}};
  CHECK(answer_parts(R"({"choices":[{"message":{"role":"assistant","reasoning_content":"hm",)"
                     R"("content":"hi","tool_calls":[{"id":"c1","function":{"name":"bash",)"
                     R"("arguments":"{\"a\":1}"}}]}}]})") == answer);
  CHECK(answer_parts(
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"content\":\"h\"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"content\":\"i\",\"tool_calls\":[{\"index\":0,"
            "\"id\":\"c1\",\"function\":{\"name\":\"bash\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}"
            "\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":"
            "{\"arguments\":\":1}\"}}]}}]}\n\ndata: [DONE]\n\n") == answer);
}

TEST_CASE("those of Responses, whole and in a stream") {
  CHECK(
      request_parts(
          R"({"instructions":"Be good.","input":[{"role":"user","content":[{"type":"input_text",)"
          R"("text":"Look."}]},{"type":"function_call","call_id":"c1","name":"bash",)"
          R"("arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":"ok"}]})") ==
      parts{{"system", "Be good."},
            {"user", "Look."},
            {"assistant calls bash", "{}"},
            {"result of bash", "ok"}});
  CHECK(request_parts(R"({"input":"Look."})") == parts{{"user", "Look."}});
  const std::string item =
      R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"hi"}]})";
  CHECK(answer_parts(R"({"output":[)" + item + "]}") == parts{{"assistant", "hi"}});
  CHECK(answer_parts("event: response.output_item.done\ndata: {\"type\":\"response.output_item.done"
                     "\",\"item\":" +
                     item + "}\n\n") == parts{{"assistant", "hi"}});
}

TEST_CASE("of each request what is new is told, and an answer once") {
  conversation told({}, false);
  const auto first = told.tell(exchange(1, first_request, first_answer));
  CHECK(first ==
        "#1  2026-01-02T03:04:05Z  /v1/messages  200  1.2s  10 in, 7 cached, 4 out  $0.0015\n"
        "  system:\n    Be good.\n  tools:\n    bash, edit\n  user:\n    Look.\n"
        "  assistant:\n    I look.\n  assistant calls bash:\n    {\"command\":\"ls\"}\n\n");
  const auto second = told.tell(exchange(2, second_request, R"({"content":[]})"));
  CHECK(has(second, "$0.0015\n  error of bash:\n    no such file\n\n"));
  CHECK(has(told.tell(exchange(3, R"({"messages":[{"role":"user","content":"New."}]})", "")),
            "(another conversation)"));
  // Alone it is whole.
  CHECK(has(conversation({}, true).tell(exchange(2, second_request, R"({"content":[]})")),
            "  user:\n    Look.\n"));
}

TEST_CASE("what it takes to put an answer together grows with its pieces, and no faster") {
  const std::string piece = std::string(400, 'x');
  const auto least_ms = [&](std::size_t pieces) {
    std::string events =
        "data: "
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\"}}\n";
    for (std::size_t i = 0; i < pieces; ++i) {
      events +=
          R"(data: {"type":"content_block_delta","index":0,"delta":{"text":")" + piece + "\"}}\n";
    }
    double least = std::numeric_limits<double>::max();
    for (int tries = 0; tries < 3; ++tries) {
      const auto began_ms = germline::thread_cpu_ms();
      CHECK(answer_parts(events)[0].text.size() == pieces * piece.size());
      least = std::min(least, germline::thread_cpu_ms() - began_ms);
    }
    return least;
  };
  // Four times as many take four times as long; where each was added to a copy, 16 times.
  CHECK(least_ms(8'000) < 9 * least_ms(2'000));
}

TEST_CASE("long texts are cut, but where one request is asked for") {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "line " + std::to_string(i) + "\\n";
  const std::string request = R"({"messages":[{"role":"user","content":")" + lines + "\"}]}";
  const auto cut = conversation({}, false).tell(exchange(1, request, ""));
  CHECK(has(cut, "line 19\n"));
  CHECK_FALSE(has(cut, "line 20\n"));
  CHECK(has(cut, " more)\n"));
  CHECK(has(conversation({}, true).tell(exchange(1, request, "")), "line 99\n"));
}

TEST_CASE("hostile text steers no terminal, and no form of JSON does harm") {
  const style narrow{.terminal = true, .columns = 80};
  auto one = exchange(1,
                      R"({"messages":[{"role":"us\u001b[2Jer","content":"a\u001b]0;x\u0007)" +
                          std::string(300, 'w') +
                          R"("},{"role":"assistant","tool_calls":[)"
                          R"({"function":{"name":"b\u202e","arguments":"\r\n"}}]}]})",
                      "data: \x1b[2J\n\n");
  one.path = "/v1/\x1b[2J";
  const auto text = conversation(narrow, false).tell(one);
  CHECK(text.find('\x1b') == text.npos);
  CHECK(text.find('\r') == text.npos);
  CHECK_FALSE(has(text, "\u202e"));
  CHECK(fits(narrow, text));
  const std::string deep(1'000'000, '[');
  for (
      const std::string& bad :
      {std::string("[]"), std::string("{"), std::string("null"), std::string("7"),
       R"({"messages":{"a":1},"tools":7,"system":{},"input":{}})" + std::string(),
       R"({"messages":[7,null,"x",[],{"role":7,"content":{"a":1},"tool_calls":7}]})" +
           std::string(),
       R"({"messages":[{"content":[7,null,"x",{"type":7},{"type":"tool_use"},{"type":"tool_result"}]}]})" +
           std::string(),
       R"({"input":[7,{"type":"x_call"},{"type":"reasoning","summary":7},{"type":"x_call_output"}]})" +
           std::string(),
       R"({"choices":[7]})" + std::string(),
       R"({"choices":[],"error":{"message":7}})" + std::string(),
       R"({"output":[7,{}]})" + std::string(), R"({"content":[7]})" + std::string(),
       "data: {\"type\":\"content_block_delta\",\"index\":\"x\",\"delta\":7}\n" + std::string(),
       "data: {\"choices\":[{\"delta\":{\"tool_calls\":[7,{\"index\":-1,\"function\":7}]}}]}\n" +
           std::string(),
       "data: {\"type\":\"content_block_start\",\"content_block\":{\"text\":7}}\n" + std::string() +
           "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"x\"}}\n",
       deep, R"({"content":)" + deep + std::string(1'000'000, ']') + "}", "data: " + deep}) {
    CAPTURE(bad.substr(0, 80));
    CHECK_FALSE(conversation({}, false).tell(exchange(1, bad, bad)).empty());
  }
}
