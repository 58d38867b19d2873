#include "worker/gateway/config.hpp"

#include <doctest/doctest.h>

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
  CHECK(config->url == "https://api.example.com");
  CHECK(config->key_env == "SOME_KEY");
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
}

TEST_CASE("the dialects of the upstream, and how it wants the key") {
  const auto with = [](const std::string& lines) {
    return parse_gateway_config("schema = 1\n[upstream]\nurl = \"https://x\"\n" + lines +
                                "\n[prices]\nfile = \"p\"\n");
  };
  const auto plain = with("");
  REQUIRE(plain);
  CHECK(plain->dialects == std::vector<std::string>{"messages"});
  CHECK(plain->auth == "x-api-key");
  const auto openai = with("dialects = [\"chat_completions\", \"responses\"]");
  REQUIRE(openai);
  CHECK(openai->auth == "bearer");
  CHECK(with("dialects = [\"responses\"]\nauth = \"x-api-key\"")->auth == "x-api-key");
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
    return config->chat_store_false;
  };
  CHECK(puts_in("https://api.openai.com"));
  CHECK(puts_in("https://eu.api.openai.com:443/v1"));
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
