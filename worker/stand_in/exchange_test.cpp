#include "worker/stand_in/exchange.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using germline::worker::exchange;
using json = nlohmann::json;

namespace {

json tool_request(bool stream = false) {
  return {{"model", "m"},
          {"max_tokens", 10},
          {"stream", stream},
          {"messages", json::array({{{"role", "user"}, {"content", "hello"}}})},
          {"tools", json::array({{{"name", "bash"},
                                  {"input_schema",
                                   {{"type", "object"},
                                    {"properties", {{"command", {{"type", "string"}}}}},
                                    {"required", json::array({"command"})}}}}})}};
}

}  // namespace

TEST_CASE("an artefact passes when it returned the result of the tool that was called") {
  exchange talk;
  const auto first = talk.answer("POST", "/v1/messages", tool_request().dump());
  REQUIRE(first.status == 200);
  const auto call = json::parse(first.body)["content"][0];
  CHECK(call["name"] == "bash");
  CHECK(call["input"]["command"] == "probation");
  CHECK_FALSE(talk.record().passed());

  auto second = tool_request();
  second["messages"].push_back(
      {{"role", "user"},
       {"content", json::array({{{"type", "tool_result"}, {"tool_use_id", call["id"]}}})}});
  const auto last = json::parse(talk.answer("POST", "/v1/messages", second.dump()).body);
  CHECK(last["stop_reason"] == "end_turn");
  CHECK(talk.record().passed());
}

TEST_CASE("an artefact that offers no tool, or answers another call, does not pass") {
  exchange talk;
  auto bare = tool_request();
  bare.erase("tools");
  talk.answer("POST", "/v1/messages", bare.dump());
  CHECK_FALSE(talk.record().valid_request);
  talk.answer("POST", "/v1/messages", tool_request().dump());
  auto other = tool_request();
  other["messages"].push_back(
      {{"role", "user"},
       {"content", json::array({{{"type", "tool_result"}, {"tool_use_id", "guess"}}})}});
  talk.answer("POST", "/v1/messages", other.dump());
  CHECK_FALSE(talk.record().passed());
}

TEST_CASE("a streamed answer carries the same call") {
  exchange talk;
  const auto reply = talk.answer("POST", "/v1/messages", tool_request(true).dump());
  CHECK(reply.content_type == "text/event-stream");
  CHECK(reply.body.find("input_json_delta") != std::string::npos);
  CHECK(reply.body.find("message_stop") != std::string::npos);
}

TEST_CASE("malformed requests are answered and never end the stand-in") {
  exchange talk;
  CHECK(talk.answer("POST", "/v1/messages", "{").status == 400);
  CHECK(talk.answer("POST", "/v1/messages", R"({"model":1,"messages":{}})").status == 400);
  CHECK(talk.answer("POST", "/v1/messages", R"({"model":"m","messages":[1],"max_tokens":1,
      "tools":[{"name":7}]})")
            .status == 400);
  CHECK(talk.answer("GET", "/etc/passwd", "").status == 404);
  CHECK_FALSE(talk.record().passed());
  CHECK_FALSE(talk.record().complaint.empty());
}

TEST_CASE("chat completions are understood as well") {
  exchange talk;
  const json tools = json::array(
      {{{"type", "function"}, {"function", {{"name", "edit"}, {"parameters", json::object()}}}}});
  json request = {{"model", "m"},
                  {"messages", json::array({{{"role", "user"}, {"content", "x"}}})},
                  {"tools", tools}};
  const auto first = json::parse(talk.answer("POST", "/v1/chat/completions", request.dump()).body);
  const auto id = first["choices"][0]["message"]["tool_calls"][0]["id"];
  request["messages"].push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", "ok"}});
  talk.answer("POST", "/v1/chat/completions", request.dump());
  CHECK(talk.record().passed());
}

TEST_CASE("responses are understood as well, streaming or not, wherever the tools stand") {
  for (const bool stream : {false, true}) {
    exchange talk;
    const json function = {{"type", "function"}, {"name", "exec"}, {"parameters", json::object()}};
    const json tools = json::array(
        {{{"type", "custom"}, {"name", "patch"}},
         {{"type", "namespace"}, {"name", "shell"}, {"tools", json::array({function})}}});
    json request = {{"model", "m"},
                    {"stream", stream},
                    {"input", json::array({{{"role", "user"}, {"content", "x"}}})}};
    if (stream) {
      request["tools"] = tools;
    } else {
      request["input"].push_back({{"type", "additional_tools"}, {"tools", tools}});
    }
    const auto first = talk.answer("POST", "/v1/responses", request.dump());
    REQUIRE(first.status == 200);
    CHECK((first.content_type == "text/event-stream") == stream);
    const auto completed = first.body.rfind("data: ");
    const auto told = json::parse(stream ? first.body.substr(completed + 6) : first.body);
    const auto call = (stream ? told["response"] : told)["output"][0];
    CHECK(call["name"] == "exec");
    CHECK(call["namespace"] == "shell");
    request["input"].push_back(
        {{"type", "function_call_output"}, {"call_id", call["call_id"]}, {"output", "ok"}});
    talk.answer("POST", "/v1/responses", request.dump());
    CHECK(talk.record().passed());
  }
}
