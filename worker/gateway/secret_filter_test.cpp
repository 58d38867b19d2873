#include "worker/gateway/secret_filter.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

namespace {

std::string seen(const std::vector<std::string>& secrets, const std::string& text,
                 std::size_t piece) {
  secret_filter filter(secrets);
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    std::string bytes = text.substr(at, piece);
    filter.feed(bytes);
    out += bytes;
  }
  return out + filter.rest();
}

}  // namespace

TEST_CASE("a key is taken out however it is cut, and nothing else is") {
  const std::string key = "sk-sk-ant/0123456789";
  const auto secrets = filtered_secrets({key, "EMPTY", ""});
  REQUIRE(secrets.size() == 1);
  const std::string text = "a sk-" + key + key + " sk-sk-ant sk-sk-ant\\/0123456789 EMPTY sk-sk";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    CAPTURE(piece);
    CHECK(seen(secrets, text, piece) ==
          "a sk-[redacted][redacted] sk-sk-ant [redacted] EMPTY sk-sk");
  }
  CHECK(without_secrets(text, secrets) ==
        "a sk-[redacted][redacted] sk-sk-ant [redacted] EMPTY sk-sk");
}

TEST_CASE("what cannot be the beginning of a key is not held back") {
  const std::vector<std::string> secrets = {"sk-0123456789abcdef"};
  secret_filter filter(secrets);
  std::string bytes = "data: x\n\n";
  filter.feed(bytes);
  CHECK(bytes == "data: x\n\n");
  bytes = "data: sk-0";
  filter.feed(bytes);
  CHECK(bytes == "data: ");
}

TEST_CASE("a key is taken out whichever of its characters are escaped") {
  const auto secrets = filtered_secrets({"sk-ant/0123456789"});
  for (const char* shown : {R"(\u0073k-ant/0123456789)", R"(sk-ant\/012345678\u0039)",
                            R"(s\u006B\u002dant\u002F0123456789)"}) {
    const std::string text = std::string(R"({"a":"\u00e4 )") + shown + R"(\n\u0073k-"})";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      CAPTURE(shown);
      CAPTURE(piece);
      CHECK(seen(secrets, text, piece) == R"({"a":"\u00e4 [redacted]\n\u0073k-"})");
    }
  }
  const auto odd = filtered_secrets({R"(sk-"\0123456789abc)"});
  CHECK(without_secrets(R"(a sk-"\0123456789abc b sk-\"\\0123456789abc c)", odd) ==
        "a [redacted] b [redacted] c");
}

TEST_CASE("of two keys of which one begins the other the longer is taken out whole") {
  const std::string one = "sk-0123456789abcdef";
  for (const auto& keys : {std::vector{one, one + "-tail"}, std::vector{one + "-tail", one}}) {
    CHECK(without_secrets("a " + one + "-tail b " + one + " c", filtered_secrets(keys)) ==
          "a [redacted] b [redacted] c");
  }
}

TEST_CASE("what is before an escaped key does not escape the mark") {
  const auto secrets = filtered_secrets({"sk-ant/0123456789"});
  CHECK(without_secrets(R"({"a":"\\u0073k-ant/0123456789"})", secrets) == R"({"a":"[redacted]"})");
  CHECK(without_secrets(R"({"a":"\\\u0073k-ant/0123456789"})", secrets) ==
        R"({"a":"\\[redacted]"})");
}

TEST_CASE("at the end of a stream much of a key is not shown, nor is a little lost") {
  const auto secrets = filtered_secrets({"sk-ant/0123456789"});
  CHECK(seen(secrets, "a sk-ant/01234567", 3) == "a [redacted]");
  CHECK(seen(secrets, "a sk-a", 3) == "a sk-a");
}
