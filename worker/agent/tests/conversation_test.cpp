#include "conversation.hpp"

#include <doctest/doctest.h>

using namespace agent;

namespace {

json bash_call(const std::string& id, const std::string& text) {
  return json::list({json::of({{"type", "tool_use"},
                               {"id", id},
                               {"name", "bash"},
                               {"input", json::of({{"command", text}})}})});
}

// Every result's call is in the turn before it, and turns alternate.
bool is_well_formed(const json& messages) {
  std::string before;
  std::string role;
  for (const auto& message : messages.items()) {
    if (message["role"].string_or() == role) return false;
    role = message["role"].string_or();
    for (const auto& block : message["content"].items()) {
      const auto id = block["tool_use_id"].string_or();
      if (!id.empty() && before.find("\"" + id + "\"") == std::string::npos) return false;
    }
    before = message.text();
  }
  return true;
}

}  // namespace

TEST_CASE("conversation joins what a user turn says") {
  conversation talk;
  talk.say("one");
  talk.say("two");
  REQUIRE(talk.messages().items().size() == 1);
  CHECK(talk.messages().items()[0]["content"].items().size() == 2);
}

TEST_CASE("conversation never holds an empty answer or an empty result") {
  conversation talk;
  talk.say("hello");
  talk.answer(json::list());
  CHECK(talk.messages().items()[1]["content"].items()[0]["text"].string_or() == "(no answer)");
  talk.add_result("a", "", false);
  CHECK(talk.messages().items()[2]["content"].items()[0]["content"].string_or() == "(no output)");
}

TEST_CASE(
    "conversation gives thinking back as it came until a compaction changes what was before") {
  const auto thought = [](const std::string& signature) {
    return json::of({{"type", "thinking"}, {"thinking", ""}, {"signature", signature}});
  };
  conversation talk;
  talk.say("the briefing");
  for (int i = 0; i < 20; ++i) {
    const auto id = "call_" + std::to_string(i);
    auto blocks = bash_call(id, "echo").items();
    blocks.insert(blocks.begin(), thought("signed"));
    talk.answer(blocks);
    talk.add_result(id, std::string(2000, 'x'), false);
  }
  talk.answer(json::list({thought("")}));  // cut off before it was signed
  CHECK(talk.messages().items().back()["content"].text().find("thinking") == std::string::npos);
  CHECK(talk.messages().text().find("signed") != std::string::npos);
  CHECK(talk.compact(30'000));
  CHECK(talk.messages().text().find("thinking") == std::string::npos);
  CHECK(is_well_formed(talk.messages()));
}

TEST_CASE("conversation compaction keeps the first message the last turns and the pairs") {
  conversation talk;
  talk.say("the briefing");
  for (int i = 0; i < 40; ++i) {
    const auto id = "call_" + std::to_string(i);
    talk.answer(bash_call(id, "echo " + std::to_string(i)));
    talk.add_result(id, std::string(2000, 'x'), false);
  }
  CHECK_FALSE(talk.compact(1'000'000));
  CHECK(talk.compact(30'000));
  CHECK(talk.messages().text().size() < 30'000);
  CHECK(is_well_formed(talk.messages()));
  CHECK(talk.messages().text().find("the briefing") != std::string::npos);
  CHECK(talk.messages().text().find("echo 39") != std::string::npos);
  while (talk.compact(1000)) {
  }
  CHECK(is_well_formed(talk.messages()));
}
