// Feeds the readers of upstreams' answers with mutated streams and bodies, cut anywhere. A case
// passes when what is told and what the client sees is the same however the bytes were cut, what is
// told never shrinks, and nothing is kept from the client but the usage that it did not ask for.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/fuzz/fuzzing.hpp"
#include "worker/gateway/dialect.hpp"

using namespace germline;
using namespace germline::tests;
using namespace germline::worker;
using nlohmann::json;

namespace {

constexpr std::size_t most_held_back = 1 << 20;  // of an event that may be dropped

std::vector<json> events_of(const char* list) {
  return json::parse(list).get<std::vector<json>>();
}

const auto messages_events = events_of(R"([
  {"type":"message_start","message":{"id":"m","usage":{"input_tokens":10,"output_tokens":1,
    "cache_creation_input_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":2},
    "cache_read_input_tokens":7}}},
  {"type":"ping"},
  {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}},
  {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\"message_h\u00e4"}},
  {"type":"content_block_stop","index":0},
  {"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":20}},
  {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":42}},
  {"type":"message_stop"}])");

const auto chat_events = events_of(R"([
  {"id":"c","choices":[{"delta":{"role":"assistant","content":"\"usage\""}}],"usage":null},
  {"choices":[{"delta":{"content":"h\u00e4"}}],
    "usage":{"prompt_tokens":20,"completion_tokens":3,"total_tokens":23}},
  {"choices":[{"delta":{},"finish_reason":"stop"}]},
  {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":9,"prompt_tokens_details":
    {"cached_tokens":4,"cache_write_tokens":6},"total_tokens":29}},
  "[DONE]"])");

const auto responses_events = events_of(R"([
  {"type":"response.created","response":{"id":"r","usage":null}},
  {"type":"response.output_text.delta","delta":"\"response.completed\""},
  {"type":"response.completed","response":{"id":"r","usage":{"input_tokens":30,
    "input_tokens_details":{"cached_tokens":4},"output_tokens":8}}}])");

/// Stands for nesting in what is written(): json itself copies and writes as deep as it is nested.
const std::string deep_value = "@deep";
constexpr std::size_t deep_levels = 150'000;

/// What a number, a text or all of an object may be instead.
json odd_value(random_source& random) {
  static const json values = json::parse(
      R"([-1, 0, 1, 999999999, 1000000001, 9223372036854775807, 18446744073709551615, 1.5, -1e9,
          1e300, "7", "message_stop", "message_delta", "response.completed", "", true, null, [], {},
          [[]], {"usage":{}}, {"input_tokens":0,"output_tokens":0}])");
  return one_in(1000, random) ? json(deep_value) : pick(values, random);
}

/// Changes one thing somewhere within.
void change_within(json& value, random_source& random) {
  if (value.is_structured() && !value.empty() && !one_in(6, random)) {
    auto place = value.begin();
    std::advance(place, static_cast<std::ptrdiff_t>(random.below(value.size())));
    if (!one_in(8, random)) return change_within(*place, random);
    value.erase(place);
    return;
  }
  value = odd_value(random);
}

std::string written(const json& event) {
  if (event == "[DONE]") return "[DONE]";
  auto text = event.dump();
  const auto mark = '"' + deep_value + '"';
  if (const auto at = text.find(mark); at != text.npos) {
    text.replace(at, mark.size(), std::string(deep_levels, '[') + std::string(deep_levels, ']'));
  }
  return text;
}

/// A stream of mutated events, in mutated forms of a line.
std::string stream_of(std::vector<json> events, random_source& random) {
  for (auto changes = random.below(4); changes > 0 && !events.empty(); --changes) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(events.size()));
    const auto to = static_cast<std::ptrdiff_t>(random.below(events.size()));
    switch (random.below(5)) {
      case 0:
        events.erase(events.begin() + at);
        break;
      case 1:
        events.insert(events.begin() + to, json(events[static_cast<std::size_t>(at)]));
        break;
      default:
        change_within(events[static_cast<std::size_t>(at)], random);
    }
  }
  static const std::vector<std::string> begins = {
      "data: ", "data: ", "data: ", "data: ",   "data:",     "data:  ",          "data :",
      "Data: ", "data",   " data:", ": data: ", "id: 1\r\n", "data: {}\ndata: ", "\xef\xbb\xbf"};
  static const std::vector<std::string> ends = {"\n\n", "\n\n", "\n\n",   "\r\n\r\n", "\n",
                                                "\r\r", "\r\n", "\n\r\n", "\n\n\n",   ""};
  const bool odd = one_in(2, random);
  const auto& usual_end = one_in(3, random) ? ends[3] : ends[0];
  std::string all;
  for (const auto& one : events) {
    const bool odd_here = odd && one_in(3, random);
    if (one.is_object() && one.contains("type") && one["type"].is_string()) {
      all += "event: " + one["type"].get<std::string>() + "\n";
    }
    all += (odd_here ? pick(begins, random) : begins[0]) + written(one);
    all += odd_here ? pick(ends, random) : usual_end;
  }
  return one_in(2, random) ? all : mutate_bytes(std::move(all), 4, random);
}

std::int64_t total(const token_counts& counts) {
  return counts.input + counts.output + counts.cache_write + counts.cache_read;
}

bool is_sane(const token_counts& counts) {
  return counts.input >= 0 && counts.output >= 0 && counts.cache_write >= 0 &&
         counts.cache_write_1h >= 0 && counts.cache_read >= 0 &&
         counts.cache_write_1h <= counts.cache_write;
}

struct told {
  std::string shown;
  std::optional<token_counts> used;
  bool ended = false;
  bool settles = false;
  bool operator==(const told&) const = default;
};

told through(answer_reader& reader, const std::vector<std::string>& pieces, bool passes_all) {
  told out;
  std::int64_t most = 0;
  bool same = true;
  bool sane = true;
  bool never_less = true;
  bool stays_ended = true;
  for (const auto& piece : pieces) {
    auto bytes = piece;
    const bool ended = reader.ended();
    reader.feed(bytes);
    same = same && bytes == piece;
    out.shown += bytes;
    sane = sane && is_sane(reader.told());
    const bool told_nothing = reader.told() == token_counts();  // what it told cannot be
    never_less = never_less && (told_nothing || total(reader.told()) >= most);
    most = std::max(most, total(reader.told()));
    stays_ended = stays_ended && (!ended || reader.ended());
  }
  out.shown += reader.rest();
  out.settles = reader.settles();
  out.used = reader.finish();
  out.ended = reader.ended();
  REQUIRE((same || !passes_all));
  REQUIRE((sane && (!out.used || is_sane(*out.used))));
  REQUIRE((never_less && (!out.used || total(*out.used) >= most)));
  REQUIRE(stays_ended);
  REQUIRE((out.used || !out.settles));
  return out;
}

/// Whether a line of an event is the usage of OpenAI's last chunk, and nothing else.
bool tells_usage_alone(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!line.starts_with("data:")) return false;
  line.remove_prefix(5);
  const auto chunk = json::parse(line, nullptr, false);
  return chunk.is_object() && chunk.contains("usage") && chunk["usage"].is_object() &&
         chunk.contains("choices") && chunk["choices"].is_array() && chunk["choices"].empty();
}

/// `stream` without the events that have such a line.
std::string without_usage(std::string_view stream) {
  std::string kept;
  std::string event;
  bool drop = false;
  while (!stream.empty()) {
    const auto end = stream.find('\n');
    const auto line = stream.substr(0, end);
    const auto raw = stream.substr(0, end == stream.npos ? end : end + 1);
    stream.remove_prefix(raw.size());
    event += raw;
    drop = drop || (end != stream.npos && tells_usage_alone(line));
    const bool over = end != stream.npos && (line.empty() || line == "\r");
    if (!over && !stream.empty()) continue;
    if (!drop) kept += event;
    event.clear();
    drop = false;
  }
  return kept;
}

void fuzz_streams(const dialect& speaks, const std::vector<json>& events, bool hides_usage) {
  seeded_random random(fuzz_seed());
  request_facts facts;
  facts.hides_usage = hides_usage;
  std::size_t settled = 0;
  std::size_t unsettled = 0;
  const auto rounds = fuzz_rounds(2'000);
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    const auto stream = stream_of(events, random);
    const auto whole = through(*speaks.reader(true, facts), {stream}, !hides_usage);
    for (const std::size_t most : {std::size_t{1}, std::size_t{60}, stream.size() + 1}) {
      if (most == 1 && (stream.size() > 10'000 || !one_in(8, random))) continue;
      const auto pieces = chopped(stream, most, random);
      REQUIRE(through(*speaks.reader(true, facts), pieces, !hides_usage) == whole);
    }
    REQUIRE(whole.shown == (hides_usage ? without_usage(stream) : stream));
    ++(whole.settles ? settled : unsettled);
  }
  CHECK(settled > rounds / 10);  // else the mutations test nothing
  CHECK(unsettled > rounds / 10);
}

void fuzz_bodies(const dialect& speaks, const char* good) {
  seeded_random random(fuzz_seed());
  const auto seed = json::parse(good);
  const auto rounds = fuzz_rounds(2'000);
  std::size_t used = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    auto body = seed;
    for (auto changes = random.below(3); changes > 0; --changes) change_within(body, random);
    auto text = written(body);
    if (one_in(2, random)) text = mutate_bytes(std::move(text), 3, random);
    const auto whole = through(*speaks.reader(false, {}), {text}, true);
    REQUIRE(through(*speaks.reader(false, {}), chopped(text, 60, random), true) == whole);
    REQUIRE_FALSE(whole.settles);
    if (whole.used) ++used;
  }
  CHECK(used > rounds / 20);
  CHECK(used < rounds);
}

}  // namespace

TEST_CASE("streams of Messages") {
  fuzz_streams(messages_dialect(), messages_events, false);
}

TEST_CASE("streams of Chat Completions") {
  fuzz_streams(chat_dialect(), chat_events, false);
}

TEST_CASE("streams of Chat Completions whose usage the client did not ask for") {
  fuzz_streams(chat_dialect(), chat_events, true);
}

TEST_CASE("streams of Responses") {
  fuzz_streams(responses_dialect(), responses_events, false);
}

TEST_CASE("whole answers") {
  fuzz_bodies(messages_dialect(),
              R"({"content":[],"usage":{"input_tokens":3,"output_tokens":4,"cache_creation":null,
                  "cache_creation_input_tokens":5}})");
  fuzz_bodies(chat_dialect(),
              R"({"choices":[{}],"usage":{"prompt_tokens":9,"completion_tokens":4,
                  "prompt_tokens_details":{"cached_tokens":2}}})");
  fuzz_bodies(responses_dialect(),
              R"({"output":[],"usage":{"input_tokens":9,"output_tokens":4,
                  "input_tokens_details":{"cached_tokens":2}}})");
}

TEST_CASE("nesting is no matter of the stack, wherever it is") {
  seeded_random random(fuzz_seed());
  const std::pair<const dialect*, const std::vector<json>*> all[] = {
      {&messages_dialect(), &messages_events},
      {&chat_dialect(), &chat_events},
      {&responses_dialect(), &responses_events}};
  for (const auto& [speaks, events] : all) {
    for (std::size_t i = 0; i < events->size(); ++i) {
      const auto leaves = (*events)[i].flatten();
      for (const auto& [place, old] : leaves.items()) {
        for (json::json_pointer at(place); !at.empty(); at.pop_back()) {
          auto changed = *events;
          changed[i][at] = deep_value;
          std::string stream;
          for (const auto& one : changed) stream += "data: " + written(one) + "\n\n";
          INFO(speaks->name() << ", event " << i << ", " << at.to_string());
          through(*speaks->reader(true, {}), {stream}, true);
        }
      }
    }
  }
}

TEST_CASE("no line is so long, and no event has so many lines, that much of it is held back") {
  seeded_random random(fuzz_seed());
  for (const std::string& line : {std::string("x"), std::string("data: {}\n"),
                                  std::string("data: {\"usage\":{},\"choices\":[]}\n")}) {
    for (std::size_t i = 0; i < fuzz_rounds(2); ++i) {
      INFO("random_seed " << fuzz_seed() << ", round " << i << ", of " << line);
      request_facts facts;
      facts.hides_usage = true;
      const auto reader = chat_dialect().reader(true, facts);
      std::string stream;
      while (stream.size() < 3 * most_held_back) stream += line;
      stream += "\n\n";
      std::string shown;
      std::size_t fed = 0;
      std::size_t held = 0;
      for (auto& piece : chopped(stream, 100'000, random)) {
        fed += piece.size();
        reader->feed(piece);
        shown += piece;
        held = std::max(held, fed - shown.size());
      }
      CHECK(held <= most_held_back);
      CHECK((shown + reader->rest() == stream));
    }
  }
}
