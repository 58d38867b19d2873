// Feeds the judges of requests with bodies in every spelling, good ones and such as ask for what no
// agent may have, cut and mutated. A case passes when what is taken means the same to another
// parser, which finds each key once, and nothing forbidden in it.
#include <doctest/doctest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/fuzz/fuzzing.hpp"
#include "worker/gateway/dialect.hpp"
#include "worker/gateway/strict_body.hpp"

using namespace germline;
using namespace germline::tests;
using namespace germline::worker;
using nlohmann::json;

namespace {

constexpr request_limits limits{1000, 500};

const json good_messages = json::parse(R"({"model":"m","max_tokens":9,"stream":true,"system":[
  {"type":"text","text":"s"}],"tools":[{"name":"ls","input_schema":{"type":"object"}},
  {"type":"custom","name":"x","input_schema":{}},{"type":"bash_20250124","name":"bash"}],
  "context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]},
  "messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64",
  "media_type":"image/png","data":"AA=="}},{"type":"document","source":{"type":"content","content":
  [{"type":"text","text":"h\u00e4"}]}}]},{"role":"assistant","content":[{"type":"tool_use","id":"t",
  "name":"ls","input":{"type":"any","tools":[{"type":"web_search_20250305"}]}}]},
  {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[
  {"type":"text","text":"x"}]}]}]})");

const json good_chat = json::parse(R"({"model":"m","max_completion_tokens":9,"n":1,"stream":true,
  "tools":[{"type":"function","function":{"name":"ls","parameters":{"type":"object"}}},
  {"type":"custom","custom":{"name":"x"}}],"tool_choice":{"type":"function","function":
  {"name":"ls"}},"store":false,"modalities":["text"],"messages":[{"role":"system","content":"s"},
  {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":
  {"url":"data:image/png;base64,AA=="}}]},{"role":"assistant","content":null,"tool_calls":
  [{"id":"t","type":"function","function":{"name":"ls","arguments":"{}"}}]},
  {"role":"tool","tool_call_id":"t","content":"x"}]})");

const json good_responses = json::parse(R"({"model":"m","max_output_tokens":9,"stream":false,
  "store":false,"background":false,"instructions":"i","include":["reasoning.encrypted_content"],
  "tools":[{"type":"function","name":"ls","parameters":{"type":"object"}},{"type":"custom",
  "name":"x"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"f"}]}],
  "tool_choice":{"type":"function","name":"ls"},"input":[{"role":"user","content":[
  {"type":"input_text","text":"h\u00e4"},{"type":"input_image","image_url":
  "data:image/png;base64,AA=="}]},{"type":"function_call","call_id":"t","name":"ls",
  "arguments":"{}"},{"type":"function_call_output","call_id":"t","output":"x"}]})");

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// The members of that name, whatever their letters' case: some readers do not care.
std::vector<json> members(const json& object, const std::string& name) {
  std::vector<json> found;
  if (!object.is_object()) return found;
  for (const auto& [key, value] : object.items()) {
    if (lower(key) == name) found.push_back(value);
  }
  return found;
}

bool is_any(const json& value, const std::vector<std::string>& of) {
  return value.is_string() && std::find(of.begin(), of.end(), value) != of.end();
}

/// Whether `allowed` holds for each "type" of each of the lists' elements.
bool types_are(const std::vector<json>& lists, const std::function<bool(const json&)>& allowed) {
  for (const auto& list : lists) {
    if (!list.is_array()) continue;
    for (const auto& one : list) {
      for (const auto& type : members(one, "type")) {
        if (!allowed(type)) return false;
      }
    }
  }
  return true;
}

/// What some provider runs, keeps, fetches or is paid for, if the body has such a field.
const std::vector<std::string> forbidden_fields = {
    "mcp_servers",   "container", "service_tier", "web_search_options",
    "prediction",    "audio",     "functions",    "plugins",
    "models",        "provider",  "route",        "inference_geo",
    "prompt",        "speed",     "transforms",   "engine",
    "function_call", "fallbacks", "extra_body",   "best_of"};

struct checked_dialect {
  const dialect& speaks;
  const json& good;
  /// Of a body that is taken: whether it asks for nothing that is forbidden.
  std::function<bool(const json&)> is_harmless;
  /// Pairs of a place and what is forbidden there.
  std::vector<std::pair<std::string, json>> poisons;
};

bool has_forbidden_field(const json& body) {
  return std::ranges::any_of(forbidden_fields,
                             [&](const auto& name) { return !members(body, name).empty(); });
}

/// No content within the body is fetched from elsewhere.
bool fetches(const json& value) {
  if (value.is_object()) {
    for (const auto& type : members(value, "type")) {
      if (is_any(value.value("type", json()), {"tool_use"})) return false;  // the agent's own
      if (is_any(type, {"url", "file", "input_file", "file_search_call", "item_reference",
                        "container_upload", "server_tool_use", "mcp_tool_use"})) {
        return true;
      }
    }
    for (const auto& url : members(value, "image_url")) {
      for (const auto& text : url.is_object() ? members(url, "url") : std::vector{url}) {
        if (!text.is_string() || !text.get<std::string>().starts_with("data:image/")) return true;
      }
    }
    for (const auto& file : members(value, "file_id")) {
      if (!file.is_null()) return true;
    }
  }
  if (value.is_array()) return std::any_of(value.begin(), value.end(), fetches);
  for (const char* name : {"content", "output", "summary", "source"}) {  // where content stands
    const auto within = members(value, name);
    if (std::any_of(within.begin(), within.end(), fetches)) return true;
  }
  return false;
}

bool each_is(const std::vector<json>& values, const std::vector<json>& allowed) {
  return std::ranges::all_of(values, [&](const json& one) {
    return std::find(allowed.begin(), allowed.end(), one) != allowed.end();
  });
}

checked_dialect messages_case() {
  const auto runs_here = [](const json& type) {
    return type.is_string() && (type == "custom" || type.get<std::string>().starts_with("bash_") ||
                                type.get<std::string>().starts_with("text_editor_") ||
                                type.get<std::string>().starts_with("computer_") ||
                                type.get<std::string>().starts_with("memory_"));
  };
  const auto is_harmless = [runs_here](const json& body) {
    std::vector<json> edits;
    for (const auto& one : members(body, "context_management")) {
      for (auto& list : members(one, "edits")) edits.push_back(std::move(list));
    }
    return types_are(members(body, "tools"), runs_here) &&
           types_are(edits,
                     [](const json& type) {
                       return type.is_string() && type.get<std::string>().starts_with("clear_");
                     }) &&
           !fetches(body.value("messages", json()));
  };
  return {messages_dialect(),
          good_messages,
          is_harmless,
          {{"/tools/0/type", "web_search_20250305"},
           {"/tools/1/type", "code_execution_20250825"},
           {"/tools/2", json{{"type", "mcp_toolset"}}},
           {"/context_management/edits/0/type", "compact_20260112"},
           {"/messages/0/content/0/source/type", "url"},
           {"/messages/0/content/1/source", json{{"type", "file"}, {"file_id", "f"}}},
           {"/messages/2/content/0/content/0", json{{"type", "container_upload"}}}}};
}

checked_dialect chat_case() {
  const auto is_harmless = [](const json& body) {
    return types_are(members(body, "tools"),
                     [](const json& type) {
                       return is_any(type, {"function", "custom"});
                     }) &&
           each_is(members(body, "n"), {1, nullptr}) &&
           each_is(members(body, "store"), {false, nullptr}) &&
           each_is(members(body, "modalities"), {json::array({"text"}), nullptr}) &&
           !fetches(body.value("messages", json()));
  };
  return {chat_dialect(),
          good_chat,
          is_harmless,
          {{"/tools/0/type", "web_search"},
           {"/tools/1", json{{"type", "openrouter:web_search"}}},
           {"/n", 2},
           {"/store", true},
           {"/modalities/0", "audio"},
           {"/messages/1/content/0/type", "file"},
           {"/messages/1/content/1/image_url/url", "https://x/y.png"}}};
}

checked_dialect responses_case() {
  const auto runs_here = [](const json& type) {
    return is_any(type, {"function", "custom", "local_shell", "apply_patch", "namespace"});
  };
  const auto is_harmless = [runs_here](const json& body) {
    const auto tools = members(body, "tools");
    for (const auto& list : tools) {
      if (!list.is_array()) continue;
      for (const auto& one : list) {
        if (each_is(members(one, "type"), {"namespace"}) &&
            !types_are(members(one, "tools"),
                       [](const auto& type) { return type == "function"; })) {
          return false;
        }
      }
    }
    return types_are(tools, runs_here) && each_is(members(body, "store"), {false}) &&
           each_is(members(body, "background"), {false, nullptr}) &&
           each_is(members(body, "previous_response_id"), {nullptr}) &&
           each_is(members(body, "conversation"), {nullptr}) &&
           !fetches(body.value("input", json()));
  };
  return {responses_dialect(),
          good_responses,
          is_harmless,
          {{"/tools/0/type", "web_search"},
           {"/tools/1/type", "code_interpreter"},
           {"/tools/2/tools/0/type", "mcp"},
           {"/store", true},
           {"/background", true},
           {"/previous_response_id", "r"},
           {"/conversation", "c"},
           {"/include/0", "file_search_call.results"},
           {"/input/0/content/0/type", "input_file"},
           {"/input/0/content/1/image_url", "https://x/y.png"},
           {"/input/1/type", "item_reference"}}};
}

/// Writes JSON as a hostile client may: any spelling of a text, any space, keys more than once.
class speller {
 public:
  speller(random_source& random, bool oddly) : random_(random), oddly_(oddly) {}

  std::string write(const json& value) {
    if (value.is_string()) return text(value.get<std::string>());
    if (!value.is_structured()) return value.dump();
    std::string all;
    for (auto place = value.begin(); place != value.end(); ++place) {
      if (!all.empty()) all += space() + "," + space();
      if (value.is_object()) {
        if (oddly_ && one_in(300, random_)) all += text(place.key()) + ":1,";
        all += text(place.key()) + space() + ":" + space();
      }
      all += write(*place);
    }
    if (value.is_object() && oddly_ && !value.empty() && one_in(300, random_)) {
      all += "," + text(value.begin().key()) + ":null";
    }
    const auto inner = space() + all + space();
    return value.is_object() ? "{" + inner + "}" : "[" + inner + "]";
  }

 private:
  std::string space() {
    static const std::vector<std::string> spaces = {"", "", "", " ", "\n", "\r\n\t"};
    return pick(spaces, random_);
  }

  std::string text(const std::string& plain) {
    const auto escapes = one_in(4, random_);
    std::string all = "\"";
    for (const char c : plain) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x80 && escapes && one_in(3, random_)) {
        char code[8];
        std::snprintf(code, sizeof code, one_in(2, random_) ? "\\u%04x" : "\\u%04X", byte);
        all += code;
      } else if (byte < 0x20 || c == '"' || c == '\\') {
        all += json(std::string(1, c)).dump().substr(1, 2);
      } else if (oddly_ && one_in(3'000, random_)) {
        static const std::vector<std::string> odd = {{"\0", 1}, "\\u0000",     "\xff",
                                                     "\\ud800", "\xc0\xaf",    "\xed\xa0\x80",
                                                     "\\x41",   "\xef\xbb\xbf"};
        all += pick(odd, random_);
      } else {
        all += c;
      }
    }
    return all + "\"";
  }

  random_source& random_;
  const bool oddly_;
};

/// `key`, maybe in other letters.
std::string in_any_case(std::string key, random_source& random) {
  for (char& c : key) {
    if (one_in(3, random)) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return key;
}

/// Puts what is forbidden into a body: in its place, or beside it under a name in other letters.
void poison(json& body, const checked_dialect& by, random_source& random) {
  if (one_in(4, random)) {
    body[in_any_case(pick(forbidden_fields, random), random)] =
        one_in(2, random) ? json(1) : json();
    return;
  }
  const auto& [place, what] = pick(by.poisons, random);
  json::json_pointer at(place);
  if (one_in(2, random)) {
    body[at] = what;
    return;
  }
  const auto key = in_any_case(at.back(), random);
  at.pop_back();
  if (body[at].is_object()) body[at][key] = what;
}

/// Moves, drops or doubles values, where JSON stays JSON.
void rearrange(json& body, random_source& random) {
  const auto flat = body.flatten();
  auto from = flat.begin();
  std::advance(from, static_cast<std::ptrdiff_t>(random.below(flat.size())));
  json::json_pointer at(from.key());
  while (!at.empty() && one_in(3, random)) at.pop_back();
  auto to = flat.begin();
  std::advance(to, static_cast<std::ptrdiff_t>(random.below(flat.size())));
  if (at.empty()) return;
  static const json odd = json::parse(R"([null, true, 0, -1, 1e3, 18446744073709551615, "", "type",
      [], {}, [[]], {"type":"text"}, {"type":null}])");
  const json value = one_in(2, random) ? json(body[at]) : pick(odd, random);
  body[json::json_pointer(to.key())] = value;
}

std::string enveloped(std::string body, random_source& random) {
  static const std::vector<std::string> behind = {" ", "\n", "{}", "x", {"\0", 1}, "//", ",", "]"};
  switch (random.below(12)) {
    case 0:
      return "\xef\xbb\xbf" + body;
    case 1:
      return body + pick(behind, random);
    case 2:
      return pick(behind, random) + body;
    case 3: {
      const auto levels = 150 + random.below(100);
      const auto at = body.find('{');
      return body.insert(
          at + 1, "\"metadata\":" + std::string(levels, '[') + std::string(levels, ']') + ",");
    }
    default:
      return body;
  }
}

/// Counts keys and depth as they are written; nlohmann's own builder takes a key's last value.
class counter final : public json::json_sax_t {
 public:
  std::size_t keys = 0;
  std::size_t deepest = 0;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return open(); }
  bool key(string_t&) override { return ++keys > 0; }
  bool end_object() override { return depth_-- > 0; }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return depth_-- > 0; }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return false;
  }

 private:
  bool open() {
    deepest = std::max(deepest, ++depth_);
    return true;
  }
  std::size_t depth_ = 0;
};

std::size_t members_within(const json& value) {
  std::size_t all = value.is_object() ? value.size() : 0;
  if (value.is_structured()) {
    for (const auto& one : value) all += members_within(one);
  }
  return all;
}

/// What any reader finds in `body`; REQUIREs that all find the same.
json meaning_of(const std::string& body) {
  REQUIRE(body.find('\0') == body.npos);
  const auto read = json::parse(body, nullptr, false);
  REQUIRE(read.is_object());
  counter counted;
  REQUIRE(json::sax_parse(body, &counted));
  REQUIRE(counted.keys == members_within(read));
  REQUIRE(counted.deepest <= 200);
  return read;
}

void check_taken(const checked_dialect& by, const std::string& body, const request_facts& facts) {
  const auto read = meaning_of(body);
  REQUIRE(strict::parse(body) == read);
  const auto sent = meaning_of(facts.rewritten.value_or(body));
  REQUIRE(sent.at("model") == facts.model);
  REQUIRE((sent.value("stream", json()) == true) == facts.stream);
  REQUIRE(facts.max_output_tokens >= 1);
  REQUIRE(facts.max_output_tokens <= limits.max_output_tokens);
  const bool harmless = !has_forbidden_field(sent) && by.is_harmless(sent);
  REQUIRE_MESSAGE(harmless, sent.dump());
  for (const auto& [key, value] : read.items()) {  // what the agent said stays as it was
    if (key != "stream_options" && !value.is_null()) REQUIRE(sent.at(key) == value);
  }
}

void fuzz(const checked_dialect& by) {
  seeded_random random(fuzz_seed());
  REQUIRE(std::holds_alternative<request_facts>(
      by.speaks.judge(by.good.dump(), route_kind::create, limits)));
  for (const auto& [place, what] : by.poisons) {  // each is one
    auto body = by.good;
    body[json::json_pointer(place)] = what;
    REQUIRE(std::holds_alternative<request_refusal>(
        by.speaks.judge(body.dump(), route_kind::create, limits)));
  }
  std::size_t taken = 0;
  const auto rounds = fuzz_rounds(4'000);
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    auto body = by.good;
    for (auto changes = random.below(3); changes > 0; --changes) {
      try {
        one_in(2, random) ? poison(body, by, random) : rearrange(body, random);
      } catch (const json::exception&) {  // the place is no more
      }
    }
    auto text = speller(random, one_in(2, random)).write(body);
    text = enveloped(std::move(text), random);
    if (one_in(4, random)) text = mutate_bytes(std::move(text), 3, random);
    const auto judged = by.speaks.judge(text, route_kind::create, limits);
    const auto* facts = std::get_if<request_facts>(&judged);
    if (!facts) continue;
    ++taken;
    check_taken(by, text, *facts);
  }
  CHECK(taken > rounds / 10);  // else the mutations test nothing
  CHECK(taken < rounds);
}

}  // namespace

TEST_CASE("bodies of Messages") {
  fuzz(messages_case());
}

TEST_CASE("bodies of Chat Completions") {
  fuzz(chat_case());
}

TEST_CASE("bodies of Responses") {
  fuzz(responses_case());
}

TEST_CASE("any bytes: what is taken is read by others alike, and one field is put in or replaced") {
  seeded_random random(fuzz_seed());
  std::size_t taken = 0;
  const auto rounds = fuzz_rounds(4'000);
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    auto text = speller(random, true).write(pick(std::vector{good_chat, good_responses}, random));
    text = mutate_bytes(enveloped(std::move(text), random), 3, random);
    json read;
    try {
      read = strict::parse(text);
    } catch (const strict::refused&) {
      continue;
    }
    ++taken;
    REQUIRE(read == meaning_of(text));
    if (read.empty()) continue;
    for (const char* key : {"store", "model", "tools", "new"}) {
      const json value = {{key, i}};
      read[key] = value;
      REQUIRE(meaning_of(strict::with_member(text, key, value)) == read);
      read = strict::parse(text);
    }
  }
  CHECK(taken > rounds / 10);
  CHECK(taken < rounds);
}
