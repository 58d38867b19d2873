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
  REQUIRE(secrets.size() == 2);
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
