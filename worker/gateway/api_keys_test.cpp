#include "worker/gateway/api_keys.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace germline::worker;

namespace {

gateway_config config_with(const std::string& variable) {
  gateway_config config;
  config.upstreams.emplace_back().key_env = variable;
  return config;
}

}  // namespace

TEST_CASE("a key is taken out of the environment, and one that is none is refused unseen") {
  const auto take = [](const std::string& value) {
    ::setenv("API_KEYS_TEST", value.c_str(), 1);
    auto taken = take_api_keys(config_with("API_KEYS_TEST"));
    CHECK(std::getenv("API_KEYS_TEST") == nullptr);
    return taken;
  };
  const auto good = take("sk-some-key\n");
  REQUIRE(good);
  REQUIRE(good->size() == 1);
  CHECK((*good)[0].name == "API_KEYS_TEST");
  CHECK((*good)[0].key == "sk-some-key");
  CHECK((*take(""))[0].key.empty());
  for (const char* bad :
       {"sk-some key", " sk-some-key", "sk-some-key\r\n", "sk-some\nkey", "'sk'"}) {
    CAPTURE(bad);
    const auto refused = take(bad);
    REQUIRE_FALSE(refused);
    const auto why = refused.error().message();
    CHECK(why.find("the API key in the environment's API_KEYS_TEST ") == 0);
    CHECK(why.find("sk") == std::string::npos);
  }
  CHECK(take_api_keys(config_with("API_KEYS_TEST"))->empty());
}
