#include "common/context/agent_context.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

using namespace germline;

namespace {

using json = nlohmann::ordered_json;

json entry(const std::string& action, const std::string& details = "d") {
  return {{"timestamp", "t"}, {"action", action}, {"result", "success"}, {"details", details}};
}

json summary(std::int64_t count, const std::string& details = "what was") {
  auto made = entry("summary", details);
  made["summarizes"] = count;
  return made;
}

/// A braced list of one would be taken for the entry itself.
template <class... Entries>
json list(const Entries&... entries) {
  auto made = json::array();
  (made.push_back(entries), ...);
  return made;
}

std::string context(const json& history) {
  return json{{"goalState", "g"}, {"history", history}, {"extra", {1, "é"}}}.dump();
}

}  // namespace

TEST_CASE("history is kept as a beginning, or counted by a summary") {
  const context_limits limits;
  const auto parent = context(list(entry("a"), entry("b"), entry("c")));
  const auto kept = [&](const json& history) {
    return keeps_history(parent, context(history), limits).has_value();
  };
  CHECK(kept(list(entry("a"), entry("b"), entry("c"))));
  CHECK(kept(list(entry("a"), entry("b"), entry("c"), entry("d"))));
  CHECK_FALSE(kept(list(entry("a"), entry("b"))));
  CHECK_FALSE(kept(list(entry("a"), entry("c"), entry("b"))));
  CHECK_FALSE(kept(list(entry("a"), entry("b", "other"), entry("c"))));
  CHECK_FALSE(kept(json::array()));
  CHECK(kept(list(summary(2), entry("c"), entry("d"))));
  CHECK(kept(list(summary(3), entry("d"))));
  CHECK(kept(list(summary(3))));
  CHECK_FALSE(kept(list(summary(2), entry("d"))));
  CHECK_FALSE(kept(list(summary(4), entry("d"))));
  CHECK_FALSE(kept(list(summary(1), entry("c"))));
  CHECK_FALSE(kept(list(summary(3, ""))));
  // A summary of a summary counts what that one stood for.
  const auto folded = context(list(summary(10), entry("x")));
  CHECK(keeps_history(folded, context(list(summary(11), entry("y"))), limits));
  CHECK_FALSE(keeps_history(folded, context(list(summary(2), entry("y"))), limits));
  // A parent that is no context has nothing to keep.
  CHECK(keeps_history("garbage", context(json::array()), limits));
  CHECK_FALSE(check_context(context(list(entry("a"), summary(1))), limits));
  CHECK_FALSE(check_context(context(list(summary(0))), limits));
}

TEST_CASE("where a context is no JSON is told") {
  const auto message = [](const char* text) {
    return check_context(text, context_limits{}).error().message();
  };
  CHECK(message("{\n  \"goalState\": oops\n}") == "the context is not JSON (line 2, byte 16)");
  CHECK(message("") == "the context is not JSON (line 1, byte 1)");
  CHECK(message("{\"goalState\": 1e999}") == "the context has a number that no double holds");
}

TEST_CASE("an entry is appended and unknown members survive") {
  const auto text = append_entry(context(list(entry("a"))), {"t2", "judged", false, "why"}, {});
  const auto root = json::parse(text);
  CHECK(root["extra"] == json{1, "é"});
  CHECK(root["goalState"] == "g");
  REQUIRE(root["history"].size() == 2);
  CHECK(root["history"][1]["result"] == "failure");
  CHECK(root["history"][1]["details"] == "why");
  CHECK(keeps_history(context(list(entry("a"))), text, {}));
  const auto fresh = append_entry("no context at all", {"t", "a", true, "d"}, {});
  CHECK(check_context(fresh, {}));
  CHECK(json::parse(fresh)["history"][0]["details"] ==
        "The context was begun anew, since the context is not JSON (line 1, byte 2). d");
}

TEST_CASE("a full history is folded, never cut") {
  const context_limits limits{20'000, 64};
  json history = json::array();
  for (int i = 0; i < 100; ++i) history.push_back(entry("a" + std::to_string(i), "details"));
  auto text = context(history);
  REQUIRE(check_context(text, limits));
  std::int64_t originals = 100;
  for (int i = 0; i < 200; ++i) {
    const auto next = append_entry(text, {"t", "n", true, std::string(200, 'x')}, limits);
    REQUIRE(check_context(next, limits));
    REQUIRE(keeps_history(text, next, limits));
    text = next;
    ++originals;
  }
  const auto root = json::parse(text);
  REQUIRE(root["history"][0].contains("summarizes"));
  CHECK(root["history"][0]["summarizes"].get<std::int64_t>() +
            static_cast<std::int64_t>(root["history"].size()) - 1 ==
        originals);
}

TEST_CASE("an agent that fills its context up to the bound is recorded all the same") {
  const context_limits limits{20'000, 64};
  const context_entry judged{"t", "judged", false, std::string(20'000, 'y')};
  // One entry is nearly everything: it is folded.
  const auto large = context(list(entry("a", std::string(19'500, 'x'))));
  REQUIRE(check_context(large, limits));
  const auto folded = append_entry(large, judged, limits);
  CHECK(keeps_history(large, folded, limits).has_value());
  CHECK(static_cast<std::int64_t>(folded.size()) <= limits.bytes + context_reserve_bytes);
  // So is a summary that is nearly everything, and one that counts as much as a summary may.
  const auto most = (std::int64_t{1} << 40) - 1;
  const auto summed = append_entry(
      context(list(summary(most, std::string(19'500, 'x')), entry("a"))), judged, limits);
  CHECK(check_context(summed, limits));
  CHECK(json::parse(summed)["history"][0]["summarizes"] == most);
  // A member that cannot be folded is: the reserve takes the entry, also again and again.
  auto text = json{{"goalState", std::string(19'900, 'g')}, {"history", json::array()}}.dump();
  const context_entry escaped{"t", std::string(2'000, '"'), false, std::string(20'000, '\x01')};
  for (int i = 0; i < 6; ++i) {
    text = append_entry(text, i % 2 == 0 ? judged : escaped, limits);
    REQUIRE(check_context(text, limits));
    REQUIRE(json::parse(text)["goalState"].get<std::string>().size() == 19'900);
  }
  CHECK(static_cast<std::int64_t>(text.size()) <= limits.bytes + context_reserve_bytes);
}

TEST_CASE("a context whose indentation would be 60 times its bytes is written compactly") {
  std::string ones;
  for (int i = 0; i < 500'000; ++i) ones += i == 0 ? "1" : ",1";
  const auto deep = std::string(60, '[') + ones + std::string(60, ']');
  const context_limits limits;
  auto text = R"({"goalState":"g","history":[],"x":)" + deep + "}";
  REQUIRE(check_context(text, limits));
  for (int i = 0; i < 2; ++i) {
    const auto next = append_entry(text, {"t", "lost", false, std::string(20'000, 'd')}, limits);
    REQUIRE(check_context(next, limits));
    REQUIRE(keeps_history(text, next, limits));
    REQUIRE(next.find(deep) != std::string::npos);
    text = next;
  }
}

TEST_CASE("what cannot be appended to is not accepted, and is cut where it must be appended to") {
  const context_limits limits{20'000, 64};
  const context_entry judged{"t", "judged", false, "why"};
  const auto check_cut = [&](const std::string& base) {
    REQUIRE_FALSE(check_context(base, limits));
    const auto text = append_entry(base, judged, limits);
    REQUIRE(check_context(text, limits));
    const auto root = json::parse(text);
    CHECK(root["history"].back()["action"] == "judged");
    const auto details = root["history"].back()["details"].get<std::string>();
    CHECK(details.find("The context was ") == 0);
    CHECK(details.find("why") != std::string::npos);
    return root;
  };
  // Written out, these floats take far more than the 5 bytes each that they are read from.
  std::string floats = "1e14";
  for (int i = 0; i < 3'000; ++i) floats += ",1e14";
  auto root = check_cut(R"({"goalState":"g","history":[)" + entry("a").dump() + R"(],"x":[)" +
                        floats + "]}");
  CHECK(root["goalState"] == "g");
  CHECK(root["history"][0] == entry("a"));
  CHECK_FALSE(root.contains("x"));
  root = check_cut(json{{"goalState", std::string(200'000, '"')}, {"history", {}}}.dump());
  CHECK(root["goalState"].get<std::string>().find_first_not_of('"') == std::string::npos);
  // Many members in one object would take the parser quadratic time.
  std::string members = R"("a":1)";
  for (int i = 0; i < 100'000; ++i) members += ",\"" + std::to_string(i) + "\":1";
  check_cut(R"({"goalState":"g","history":[],"x":{)" + members + "}}");
}
