#include "worker/gateway/config.hpp"

#include <doctest/doctest.h>

#include <tuple>

using namespace germline::worker;

namespace {

std::string message_of(const std::string& text) {
  const auto config = parse_gateway_config(text);
  return config ? std::string() : config.error().message();
}

const std::string good = R"(schema = 1
[upstream]
url = "https://api.example.com/"
key_env = "SOME_KEY"
[prices]
file = "prices.json"
)";

}  // namespace

TEST_CASE("a whole configuration is read, and defaults stand") {
  const auto config = parse_gateway_config(good + "[limits]\nmax_connections = 7\nbetas = [\"x\"]");
  REQUIRE(config);
  CHECK(config->upstreams[0].url == "https://api.example.com");
  CHECK(config->upstreams[0].key_env == "SOME_KEY");
  CHECK(config->max_connections == 7);
  CHECK(config->betas == std::vector<std::string>{"x"});
  CHECK(config->connect_ms == 10'000);
}

TEST_CASE("a mistake is named") {
  CHECK(message_of(good + "[limits]\nmax_conections = 7").find("max_conections is unknown") !=
        std::string::npos);
  CHECK(message_of(good + "[timeouts]\nconnect_ms = \"1s\"").find("connect_ms must be") !=
        std::string::npos);
  CHECK(message_of(good + "[more]\n").find("unknown key 'more'") != std::string::npos);
  CHECK(message_of("schema = 2").find("schema") != std::string::npos);
  CHECK(message_of("schema = 1\n[upstream").find("line 2") != std::string::npos);
}

TEST_CASE("an empty value, or one that nobody can mean, is refused by its key") {
  const auto upstream = [](const std::string& line) {
    return message_of("schema = 1\n[upstream]\nurl = \"https://x\"\n" + line +
                      "\n[prices]\nfile = \"p\"\n");
  };
  CHECK(upstream("") == "");
  CHECK(upstream("name = \"\"") ==
        "[upstream] name is empty; it is the upstream's name, for people and metrics");
  CHECK(upstream("name = \"a\\nb\"").find("name has a control character; it is") !=
        std::string::npos);
  CHECK(upstream("name = \" a\"").find("name has a space before or behind it") !=
        std::string::npos);
  CHECK(upstream("name = 5").find("name must be a string in quotes") != std::string::npos);
  CHECK(upstream("dialects = []") ==
        "[upstream] dialects is an empty list; leave the key out, or name at least one: each is "
        "one of 'messages', 'chat_completions', 'responses'");
  CHECK(upstream("dialects = [\"messages\", \"messages\"]").find("has 'messages' twice") !=
        std::string::npos);
  CHECK(upstream("models = []").find("models is an empty list; leave the key out") !=
        std::string::npos);
  CHECK(upstream("models = [\"\"]").find("models has '', which is empty") != std::string::npos);
  CHECK(upstream("models = [\"a\\u0007\"]").find("models has 'a\\x07', which has a control") !=
        std::string::npos);
  CHECK(upstream("auth = \"\"").find("auth is empty; it is 'x-api-key' or 'bearer'") !=
        std::string::npos);
  CHECK(message_of(good + "[metrics]\nlisten = \"\"").find("listen is empty; it is an IPv4") !=
        std::string::npos);
  CHECK(message_of("schema = 1\n[prices]\nfile = \"p\"").find("there is no [upstream]") == 0);
  CHECK(message_of("schema = 1\n[upstream]\n[prices]\nfile = \"p\"").find("has no url") !=
        std::string::npos);
  CHECK(
      message_of("schema = 1\n[upstream]\nurl = \"https://x\"").find("[prices] file is missing") ==
      0);
  CHECK(message_of("schema = 1\nlimits = 5").find("[limits] must be a table") == 0);
}

TEST_CASE("a beta is a name that a header can have") {
  const auto betas = [](const std::string& list) {
    return message_of(good + "[limits]\nbetas = " + list);
  };
  CHECK(betas("[]") == "");
  CHECK(betas("[\"a-2026-01-01\", \"b\"]") == "");
  CHECK(betas("[\"a\\r\\nx-api-key: b\"]").find("[limits] betas has 'a\\x0d\\x0ax-api-key: b'") ==
        0);
  CHECK(betas("[\"\"]").find("which is empty") != std::string::npos);
  CHECK(betas("[\"a,b\"]").find("without spaces and commas") != std::string::npos);
  CHECK(betas("[\"a b\"]").find("without spaces and commas") != std::string::npos);
  CHECK(betas("[\"ä\"]").find("of plain ASCII") != std::string::npos);
  CHECK(betas("[\"a\", \"a\"]").find("twice") != std::string::npos);
}

TEST_CASE("transcripts are written at a whole path") {
  const auto why = message_of(good + "[transcripts]\ndirectory = \"transcripts\"");
  CHECK(why ==
        "[transcripts] directory must be the whole path of a folder, such as "
        "'/var/lib/germline/transcripts', and is 'transcripts'");
  CHECK(message_of(good + "[transcripts]\ndirectory = \"/t\"") == "");
  CHECK(message_of(good + "[transcripts]\ndirectory = \"\"").ends_with("; leave it out for none"));
}

TEST_CASE("a key in the place of its variable's name is refused, and not shown") {
  const auto why = message_of(
      "schema = 1\n[upstream]\nurl = \"https://x\"\nkey_env = \"sk-ant-0123456789\"\n"
      "[prices]\nfile = \"p\"");
  CHECK(why.find("key_env is no name of an environment variable") != std::string::npos);
  CHECK(why.find("0123") == std::string::npos);
}

TEST_CASE("a configuration is a file") {
  const auto folder = load_gateway_config("/tmp");
  REQUIRE_FALSE(folder);
  CHECK(folder.error().message() ==
        "the configuration /tmp is a folder, and no file: name a file in it");
  const auto missing = load_gateway_config("/no/such.toml");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == germline::error_code::not_found);
}

TEST_CASE("the authorities that are trusted are a file of certificates") {
  const auto with = [](const std::string& path) {
    return message_of("schema = 1\n[upstream]\nurl = \"https://x\"\nca_file = \"" + path +
                      "\"\n[prices]\nfile = \"p\"");
  };
  CHECK(with("/tmp").find("ca_file /tmp is a folder") != std::string::npos);
  CHECK(with("/etc/passwd").find("ca_file /etc/passwd has no certificate") != std::string::npos);
  CHECK(with("/no/such").find("ca_file /no/such: No such file") != std::string::npos);
  CHECK(message_of("schema = 1\n[upstream]\nurl = \"http://127.0.0.1\"\nca_file = \"/tmp\"\n"
                   "[prices]\nfile = \"p\"")
            .find("ca_file is of no use with http://") != std::string::npos);
}

TEST_CASE("plain HTTP is for loopback alone") {
  const auto url_error = [](const std::string& url) {
    return message_of("schema = 1\n[upstream]\nurl = \"" + url + "\"\n[prices]\nfile = \"p\"\n");
  };
  CHECK(url_error("http://127.0.0.1:80") == "");
  CHECK(url_error("http://[::1]:80") == "");
  CHECK(url_error("http://127.0.0.1.example.com") != "");
  CHECK(url_error("http://127.0.0.1:80@example.com") != "");
  CHECK(url_error("http://example.com") != "");
  CHECK(url_error("file:///etc/passwd") != "");
  CHECK(url_error("https://user@example.com") != "");
  CHECK(url_error("https://example.com:123456").find("Port number") != std::string::npos);
  CHECK(url_error("https://").find("https:// and a host") != std::string::npos);
  CHECK(url_error("https://example.com:0").find("has the port 0") != std::string::npos);
  CHECK(url_error("https://:443").find("url is none: 'https://:443'") != std::string::npos);
  CHECK(url_error("https://x.com/api/v1/")
            .ends_with("/v1, which is put behind it: https://x.com/api"));
  CHECK(url_error("https://x.com/v1/messages").ends_with("behind it: https://x.com"));
  CHECK(url_error("https://x.com/v1/account/openai").empty());
}

TEST_CASE("loopback is the whole of 127.0.0.0/8, and [::1] however it is written") {
  const auto url_error = [](const std::string& url) {
    return message_of("schema = 1\n[upstream]\nurl = \"" + url + "\"\n[prices]\nfile = \"p\"\n");
  };
  for (const char* good_one :
       {"http://127.0.0.2:9", "http://127.255.255.254", "http://127.0.0.1/v2", "HTTP://127.0.0.1:9",
        "http://[0:0:0:0:0:0:0:1]:9", "http://[::1]"}) {
    CAPTURE(good_one);
    CHECK(url_error(good_one) == "");
  }
  for (const char* bad :
       {"http://128.0.0.1", "http://127.0.0.010", "http://127.1", "http://127.0.0.2.example.com",
        "http://127.0.0.2@example.com", "http://127.0.0.2:80@example.com", "http://[::2]",
        "http://[::1", "http://[::1]x", "http://[127.0.0.1]", "http://::1", "http://",
        "http://2130706433", "http://127.0.0.2?x", "http://localhost"}) {
    CAPTURE(bad);
    CHECK(url_error(bad) != "");
  }
}

TEST_CASE("scheme and host of a url are the same in capitals") {
  const auto read = [](const std::string& url) {
    const auto config = parse_gateway_config("schema = 1\n[upstream]\nname = \"mine\"\nurl = \"" +
                                             url + "\"\n[prices]\nfile = \"p\"\n");
    REQUIRE(config);
    return config->upstreams[0];
  };
  const auto openai = read("HTTPS://API.OpenAI.com:443/Some/Path");
  CHECK(openai.url == "https://api.openai.com:443/Some/Path");
  CHECK(openai.chat_store_false);
  CHECK(provider_name(openai) == "openai");
  CHECK(read("Https://[FE80::1]:443/V1").url == "https://[FE80::1]:443/V1");
}

TEST_CASE("the host of a url is one that can be") {
  const auto url_error = [](const std::string& url) {
    return message_of("schema = 1\n[upstream]\nurl = \"" + url + "\"\n[prices]\nfile = \"p\"\n");
  };
  CHECK(url_error("https://a%zz.com").find("url has 'a%zz.com' as its host, which cannot be one") !=
        std::string::npos);
  for (const char* bad : {"https://%61b.com", "https://a|b.com", "https://a..com", "https://.a.com",
                          "https://a~b", "https:///x", "https://.", "https://999.1.1.1",
                          "https://1.2.3", "https://a,b", "https://[zz]", "https://[::1]x"}) {
    CAPTURE(bad);
    CHECK(url_error(bad).find("url ") != std::string::npos);
  }
  for (const char* good_one :
       {"https://x", "https://a_b.example", "https://a-b.example.:8443", "https://1.2.3.4:5",
        "https://gpu.1", "https://[2001:db8::1]:443/v2", "https://example.com/a%20b"}) {
    CAPTURE(good_one);
    CHECK(url_error(good_one) == "");
  }
}

TEST_CASE("the dialects of the upstream, and how it wants the key") {
  const auto with = [](const std::string& lines) {
    return parse_gateway_config("schema = 1\n[upstream]\nurl = \"https://x\"\n" + lines +
                                "\n[prices]\nfile = \"p\"\n");
  };
  const auto plain = with("");
  REQUIRE(plain);
  CHECK(plain->upstreams[0].dialects == std::vector<std::string>{"messages"});
  CHECK(plain->upstreams[0].auth == "x-api-key");
  const auto openai = with("dialects = [\"chat_completions\", \"responses\"]");
  REQUIRE(openai);
  CHECK(openai->upstreams[0].auth == "bearer");
  CHECK(with("dialects = [\"responses\"]\nauth = \"x-api-key\"")->upstreams[0].auth == "x-api-key");
  const auto bad = with("dialects = [\"chat\"]");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message().find("'chat_completions'") != std::string::npos);
  CHECK_FALSE(with("auth = \"basic\""));
  CHECK_FALSE(with("chat_cap = \"tokens\""));
}

TEST_CASE("OpenAI is told to store nothing, others where the configuration says so") {
  const auto puts_in = [](const std::string& url, const std::string& lines = "") {
    const auto config = parse_gateway_config("schema = 1\n[upstream]\nurl = \"" + url + "\"\n" +
                                             lines + "\n[prices]\nfile = \"p\"\n");
    REQUIRE(config);
    return config->upstreams[0].chat_store_false;
  };
  CHECK(puts_in("https://api.openai.com"));
  CHECK(puts_in("https://eu.api.openai.com:443/v2"));
  CHECK_FALSE(puts_in("https://api.openai.com.example.org"));
  CHECK_FALSE(puts_in("https://example.com/api.openai.com"));
  CHECK_FALSE(puts_in("https://example.com"));
  CHECK(puts_in("https://example.com", "chat_store_false = true"));
  CHECK_FALSE(puts_in("https://api.openai.com", "chat_store_false = false"));
  CHECK(message_of(good + "[limits]\nmax_held_bytes = true").find("max_held_bytes") !=
        std::string::npos);
}

TEST_CASE("what may be held covers one request, and all hold no less than one attempt") {
  const auto config = parse_gateway_config(
      good +
      "[limits]\nmax_body_bytes = 5000\nmax_held_bytes = 2000\nmax_held_bytes_in_all = 1024");
  REQUIRE(config);
  CHECK(config->max_held_bytes == 5000);
  CHECK(config->max_held_bytes_in_all == 5000);
}

TEST_CASE("several upstreams are read in their order, each with its own") {
  const std::string two = R"(schema = 1
[prices]
file = "p"
[[upstream]]
name = "first"
url = "https://a.example.com"
key_env = "KEY_A"
models = ["claude-*", "other"]
[[upstream]]
name = "second"
url = "https://b.example.com"
dialects = ["chat_completions"]
priority = 2
weight = 5
max_concurrent = 3
)";
  const auto config = parse_gateway_config(two);
  REQUIRE(config);
  REQUIRE(config->upstreams.size() == 2);
  const auto& [first, second] = std::tie(config->upstreams[0], config->upstreams[1]);
  CHECK(first.name == "first");
  CHECK(first.models == std::vector<std::string>{"claude-*", "other"});
  CHECK(first.auth == "x-api-key");
  CHECK(first.priority == 0);
  CHECK(first.weight == 1);
  CHECK(second.auth == "bearer");
  CHECK(second.key_env.empty());
  CHECK(second.priority == 2);
  CHECK(second.weight == 5);
  CHECK(second.max_concurrent == 3);
  const auto changed = [&](const std::string& from, const std::string& to) {
    auto text = two;
    text.replace(text.find(from), from.size(), to);
    return message_of(text);
  };
  CHECK(changed("\"second\"", "\"first\"").find("'first' is there twice") != std::string::npos);
  CHECK(changed("name = \"second\"", "").find("2 has no name") != std::string::npos);
  CHECK(changed("weight = 5", "weight = 0").find("'second' weight must be") != std::string::npos);
  CHECK(changed("weight = 5", "wait = 5").find("'second' wait is unknown") != std::string::npos);
  CHECK(changed("claude-*", "*-claude").find("'*-claude'") != std::string::npos);
  CHECK(message_of("schema = 1\nupstream = []\n[prices]\nfile = \"p\"").find("1 to") !=
        std::string::npos);
}

TEST_CASE("an upstream is a server or a recording, and a recording speaks what was recorded") {
  const auto with = [](const std::string& lines) {
    return parse_gateway_config("schema = 1\n[upstream]\n" + lines + "\n[prices]\nfile = \"p\"\n");
  };
  const auto strict = with("replay = \"/tmp\"");
  REQUIRE(strict);
  CHECK(strict->upstreams[0].replay == "/tmp");
  CHECK(strict->upstreams[0].replay_is_strict);
  CHECK(strict->upstreams[0].dialects.size() == 3);
  CHECK(with("replay = \"/tmp\"\nmode = \"strict\"")->upstreams[0].replay_is_strict);
  CHECK_FALSE(with("replay = \"/tmp\"\nmode = \"lenient\"")->upstreams[0].replay_is_strict);
  const auto only = with("replay = \"/tmp\"\ndialects = [\"responses\"]");
  CHECK(only->upstreams[0].dialects == std::vector<std::string>{"responses"});
  const auto why = [&](const std::string& lines) { return with(lines).error().message(); };
  CHECK(why("replay = \"/tmp\"\nmode = \"loose\"").find("'strict' or 'lenient'") !=
        std::string::npos);
  CHECK(why("replay = \"/tmp\"\nkey_env = \"K\"").find("key_env is of no use") !=
        std::string::npos);
  CHECK(why("replay = \"/tmp\"\nurl = \"https://x\"").find("url is of no use") !=
        std::string::npos);
  CHECK(why("replay = \"/nowhere/x.jsonl\"").find("is not there: /nowhere/x") != std::string::npos);
  CHECK(why("url = \"https://x\"\nmode = \"strict\"").find("there is no replay") !=
        std::string::npos);
}

TEST_CASE("a replay stands beside no other upstream of the same model") {
  const auto with = [](const std::string& replayed, const std::string& other) {
    return message_of(
        "schema = 1\n[prices]\nfile = \"p\"\n[[upstream]]\nname = \"real\"\n"
        "url = \"https://x\"\n" +
        other + "[[upstream]]\nname = \"recorded\"\nreplay = \"/\"\n" + replayed);
  };
  const std::string a = "models = [\"a-*\"]\n";
  for (const auto& [replayed, other] : {std::pair<std::string, std::string>{"", ""},
                                        {a, ""},
                                        {"", a},
                                        {a, a},
                                        {a, "models = [\"b\", \"a-1\"]\n"},
                                        {"models = [\"a-1\"]\n", a},
                                        {a, "models = [\"a*\"]\n"},
                                        {"models = [\"a-1*\"]\n", a}}) {
    CAPTURE(replayed);
    CAPTURE(other);
    CHECK(with(replayed, other).find("'recorded' is a replay, and 'real'") != std::string::npos);
  }
  for (const char* apart : {"models = [\"b\"]\n", "models = [\"b*\"]\n", "models = [\"a\"]\n"}) {
    CHECK(with(a, apart) == "");
  }
}

TEST_CASE("a provider is named by its host, and another by its name in the configuration") {
  upstream_config one;
  one.name = "mine";
  one.url = "https://api.anthropic.com";
  CHECK(provider_name(one) == "anthropic");
  one.url = "https://eu.api.openai.com:443/v2";
  CHECK(provider_name(one) == "openai");
  for (const char* other : {"https://api.openai.com.example.org", "http://127.0.0.1:1", ""}) {
    one.url = other;
    CHECK(provider_name(one) == "mine");
  }
}

TEST_CASE("metrics are listened for at an address with a port") {
  const auto read = [](const std::string& address) {
    const auto config = parse_gateway_config(good + "[metrics]\nlisten = \"" + address + "\"\n");
    REQUIRE(config);
    const auto& place = config->metrics.value();
    return place.host + " " + std::to_string(place.first_port) + " " +
           std::to_string(place.last_port);
  };
  CHECK(read("127.0.0.1:9464") == "127.0.0.1 9464 9464");
  CHECK(read("127.0.0.1:1-2") == "127.0.0.1 1 2");
  CHECK(read("0.0.0.0:65535") == "0.0.0.0 65535 65535");
  for (const char* bad :
       {"9464", "localhost:9464", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:1x",
        "[::1:1", "::1", "::1:9464", "[127.0.0.1]:1", "[]:1", ":1", "127.0.0.1:2-1", "127.0.0.1:1-",
        "127.0.0.1:1-65536", "127.0.0.1:1-2-3"}) {
    CAPTURE(bad);
    CHECK(message_of(good + "[metrics]\nlisten = \"" + bad + "\"\n")
              .find("must be an IPv4 address with a port") != std::string::npos);
  }
}

TEST_CASE("more fields may be allowed, but none that is judged or can never be bounded") {
  const auto read = parse_gateway_config(good + "[allow]\nchat_completions = [\"min_p\", \"x\"]\n");
  REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().message()));
  CHECK(read->more_fields.at("chat_completions") == std::vector<std::string>{"min_p", "x"});
  CHECK(read->more_fields.at("messages").empty());
  const auto why = [](const std::string& line) { return message_of(good + "[allow]\n" + line); };
  CHECK(why("messages = [\"mcp_servers\"]").find("cannot be allowed") != std::string::npos);
  CHECK(why("messages = [\"Service_Tier\"]").find("cannot be allowed") != std::string::npos);
  CHECK(why("responses = [\"previous_response_id\"]").find("cannot be") != std::string::npos);
  CHECK(why("messages = [\"tools\"]").find("passes already") != std::string::npos);
  CHECK(why("chat_completions = [\"Tools\"]").find("passes already") != std::string::npos);
  CHECK(why("messages = [\"\"]").find("[allow] messages") != std::string::npos);
  CHECK(why("completions = [\"x\"]").find("known are: messages") != std::string::npos);
}

TEST_CASE("metrics at an address of IPv6, which their server does not know, are refused") {
  for (const char* six : {"[::1]:19465", "[::1]:19465-19467", "[::]:9464", "[::ffff:127.0.0.1]:1",
                          "::1:9464", "::1"}) {
    CAPTURE(six);
    CHECK(message_of(good + "[metrics]\nlisten = \"" + six + "\"\n") ==
          "[metrics] listen must be an IPv4 address with a port or a range of them, as "
          "'127.0.0.1:9464' or '127.0.0.1:9464-9471', and is '" +
              std::string(six) + "'; metrics cannot be served at an address of IPv6");
  }
  CHECK(message_of(good + "[metrics]\nlisten = \"localhost:9464\"\n").find("IPv6") ==
        std::string::npos);
}

TEST_CASE(
    "attempts that are replayed have an upstream of their own, where transcripts are written") {
  auto config = *parse_gateway_config(good);
  add_recorded_attempts(config);
  CHECK(config.upstreams.size() == 1);
  config.transcripts_directory = "/t";
  add_recorded_attempts(config);
  REQUIRE(config.upstreams.size() == 2);
  CHECK(config.upstreams[1].is_of_attempts);
  CHECK(config.upstreams[1].replay == "/t");
}
