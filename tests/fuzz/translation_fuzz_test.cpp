// Feeds the stream translators, and those of whole answers and requests, with mutated and truncated
// bytes, cut anywhere. A case passes when they end, say only what a client can read, say the same
// however the bytes were cut, and end a stream at most once. GERMLINE_FUZZ_SEED sets another seed.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "common/random.hpp"
#include "tests/fuzz/fuzzing.hpp"
#include "worker/gateway/dialect.hpp"
#include "worker/gateway/translation/translator.hpp"

using namespace germline;
using namespace germline::tests;
using namespace germline::worker;
using namespace germline::worker::translation;
using nlohmann::json;

namespace {

std::string mutate(std::string bytes, random_source& random) {
  for (auto left = random.below(5); left > 0 && !bytes.empty(); --left) {
    const auto at = random.below(bytes.size());
    const auto length = 1 + random.below(std::min<std::size_t>(bytes.size() - at, 40));
    switch (random.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        bytes.erase(at, length);
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3: {  // a whole line elsewhere: events in another order, or twice
        const auto begin = bytes.rfind("\n\n", at);
        const auto end = bytes.find("\n\n", at);
        if (begin == bytes.npos || end == bytes.npos) break;
        bytes.insert(random.below(2) == 0 ? 0 : end, bytes.substr(begin, end - begin));
        break;
      }
      default:
        bytes.insert(random.below(bytes.size()), bytes.substr(at, length));
        break;
    }
  }
  return bytes;
}

/// A stream of those events.
std::string stream_of(const std::string& list) {
  std::string all;
  for (const auto& one : json::parse(list)) {
    if (one.contains("type")) all += "event: " + std::string(one["type"]) + "\n";
    all += "data: " + one.dump() + "\n\n";
  }
  return all;
}

const std::string chat_stream = ": alive\n\n" + stream_of(R"([
  {"id":"c","model":"m","choices":[{"delta":{"role":"assistant","content":""}}]},
  {"choices":[{"delta":{"reasoning_content":"hm"}}]},
  {"choices":[{"delta":{"content":"h\u00e4"}}]},
  {"choices":[{"delta":{"tool_calls":[
    {"index":0,"id":"a","function":{"name":"ls","arguments":"{"}}]}}]},
  {"choices":[{"delta":{"tool_calls":[
    {"index":1,"id":"b","function":{"name":"pwd","arguments":"{}"}}]}}]},
  {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"x\":1}"}}]}}]},
  {"choices":[{"delta":{},"finish_reason":"tool_calls"}]},
  {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4}}])") +
                                "data: [DONE]\n\n";

const std::string messages_stream = stream_of(R"([
  {"type":"message_start","message":{"id":"m","usage":{"input_tokens":1,"output_tokens":1}}},
  {"type":"ping"},
  {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}},
  {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\u00e4"}},
  {"type":"content_block_stop","index":0},
  {"type":"content_block_start","index":1,"content_block":
    {"type":"tool_use","id":"t","name":"ls","input":{}}},
  {"type":"content_block_delta","index":1,"delta":
    {"type":"input_json_delta","partial_json":"{\"x\":1}"}},
  {"type":"content_block_stop","index":1},
  {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":4}},
  {"type":"message_stop"}])");

struct told {
  std::string text;
  bool ended = false;
  bool failed = false;
};

/// In pieces of up to so many bytes.
told through(const translator& by, const std::string& stream, std::size_t most,
             random_source& random) {
  const auto translates = by.stream({"m", "germline_1", 1, true, true});
  told out;
  for (std::size_t at = 0; at < stream.size();) {
    const auto size = 1 + random.below(most);
    out.text += translates->feed(std::string_view(stream).substr(at, size), {1, 2, 0, 0, 3});
    at += size;
  }
  out.text += translates->finish({1, 2, 0, 0, 3});
  out.text += translates->feed("data: {}\n\n", {});
  out.text += translates->finish({});
  out.ended = translates->ended();
  out.failed = translates->failed();
  return out;
}

void check_readable(const translator& by, const told& out) {
  int ends = 0;
  std::size_t at = 0;
  while (at < out.text.size()) {
    auto end = out.text.find('\n', at);
    REQUIRE(end != out.text.npos);
    const auto line = out.text.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with("data: ")) {
      const bool known = line.empty() || line == ": ping" || line.starts_with("event: ");
      REQUIRE(known);
      continue;
    }
    const auto data = line.substr(6);
    if (data == "[DONE]") {
      ++ends;
      continue;
    }
    const auto event = json::parse(data, nullptr, false);
    REQUIRE(event.is_object());
    if (event.contains("error") || event.value("type", std::string()) == "message_stop") ++ends;
  }
  REQUIRE(ends == 1);
  REQUIRE(out.ended != out.failed);
  if (out.ended) {  // and who meters it finds the same
    const auto reader = by.client().reader(true, {});
    auto text = out.text;
    reader->feed(text);
    REQUIRE(reader->ended());
    REQUIRE(reader->finish() == token_counts{1, 2, 0, 0, 3});
  }
}

void fuzz_streams(const translator& by, const std::string& seed) {
  seeded_random random(fuzz_seed());
  CHECK(through(by, seed, seed.size(), random).ended);
  std::size_t ended = 0;
  constexpr std::size_t rounds = 5'000;
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    const auto stream = mutate(seed, random);
    const auto whole = through(by, stream, stream.size() + 1, random);
    REQUIRE(through(by, stream, 1 + random.below(60), random).text == whole.text);
    check_readable(by, whole);
    if (whole.ended) ++ended;
  }
  CHECK(ended > 0);  // else the mutations test nothing
  CHECK(ended < rounds);
}

/// Of bodies: whether each is taken is told by `read`.
template <class Read>
void fuzz_bodies(const std::string& seed, Read read) {
  seeded_random random(fuzz_seed());
  REQUIRE(read(seed));
  std::size_t taken = 0;
  constexpr std::size_t rounds = 5'000;
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    if (read(mutate(seed, random))) ++taken;
  }
  CHECK(taken > 0);
  CHECK(taken < rounds);
}

/// A request that its own dialect lets out becomes one that the other lets out, or is refused.
bool request_holds(const dialect& client, const std::string& body) {
  const request_limits limits{1000, 500};
  const auto judged = client.judge(body, route_kind::create, limits);
  if (!std::holds_alternative<request_facts>(judged)) return false;
  const auto& by = *translator_for(client);
  const auto made = by.request(body, limits);
  const auto* request = std::get_if<translated_request>(&made);
  if (!request) return false;
  const auto again = by.upstream().judge(request->body, route_kind::create, limits);
  const auto* facts = std::get_if<request_facts>(&again);
  if (!facts) return false;
  CHECK(facts->max_output_tokens == std::get<request_facts>(judged).max_output_tokens);
  CHECK(facts->stream == std::get<request_facts>(judged).stream);
  CHECK(facts->model == std::get<request_facts>(judged).model);
  return true;
}

}  // namespace

TEST_CASE("any stream of Chat Completions becomes one that clients of Messages can read") {
  fuzz_streams(*translator_for(messages_dialect()), chat_stream);
}

TEST_CASE("any stream of Messages becomes one that clients of Chat Completions can read") {
  fuzz_streams(*translator_for(chat_dialect()), messages_stream);
}

TEST_CASE("any body is translated into JSON or refused") {
  const auto answer = [](const translator& by, const std::string& body) {
    const auto out = by.answer(body, {"m", "germline_1", 1, true, true}, {});
    if (out) CHECK(json::parse(*out, nullptr, false).is_object());
    return out.has_value();
  };
  fuzz_bodies(R"({"id":"c","choices":[{"message":{"content":"hi","tool_calls":[{"id":"a",
      "function":{"name":"ls","arguments":"{\"x\":[1,2]}"}}]},"finish_reason":"stop"}]})",
              [&](const auto& body) { return answer(*translator_for(messages_dialect()), body); });
  fuzz_bodies(R"({"id":"m","content":[{"type":"text","text":"hi"},{"type":"tool_use","id":"t",
      "name":"ls","input":{"x":[1,2]}}],"stop_reason":"tool_use"})",
              [&](const auto& body) { return answer(*translator_for(chat_dialect()), body); });
  fuzz_bodies(R"({"model":"m","max_tokens":9,"stream":true,"system":"s","tools":[{"name":"ls",
      "input_schema":{}}],"messages":[{"role":"user","content":[{"type":"image","source":
      {"type":"base64","media_type":"image/png","data":"AA=="}}]},{"role":"assistant","content":
      [{"type":"tool_use","id":"t","name":"ls","input":{}}]},{"role":"user","content":
      [{"type":"tool_result","tool_use_id":"t","content":"x"}]}]})",
              [](const auto& body) { return request_holds(messages_dialect(), body); });
  fuzz_bodies(R"({"model":"m","max_tokens":9,"messages":[{"role":"system","content":"s"},
      {"role":"user","content":[{"type":"image_url","image_url":
      {"url":"data:image/png;base64,AA=="}}]},{"role":"assistant","content":null,"tool_calls":
      [{"id":"t","type":"function","function":{"name":"ls","arguments":"{}"}}]},
      {"role":"tool","tool_call_id":"t","content":"x"}]})",
              [](const auto& body) { return request_holds(chat_dialect(), body); });
}
