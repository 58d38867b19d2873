#include "common/text/mirrors.hpp"

#include <doctest/doctest.h>

using namespace germline;

TEST_CASE("a mirror's URL is https, or http on loopback, and nothing but a place") {
  for (const auto* good :
       {"https://mirror.example", "https://mirror.example:8443/npm/", "http://127.0.0.1:4873",
        "http://localhost:4873/a/b", "http://[::1]:80"}) {
    CHECK_MESSAGE(parse_mirror_url(good), good);
  }
  CHECK(parse_mirror_url("https://Mirror.Example/npm//")->text() == "https://mirror.example/npm");
  for (const auto* bad :
       {"", "mirror.example", "ftp://mirror.example", "http://mirror.example", "https://",
        "https://user:key@mirror.example", "https://mirror.example/?a=b",
        "https://mirror.example/#a", "https://mirror.example/../x", "https://mirror.example/a b",
        "http://127.0.0.1.example.org", "https:///npm"}) {
    const auto read = parse_mirror_url(bad);
    REQUIRE_MESSAGE(!read, bad);
    CHECK(read.error().message().find("write https://HOST") != std::string::npos);
  }
}

TEST_CASE("mirrors are named once each") {
  const auto read = parse_mirrors("npm=https://a.example/npm, wheels=http://127.0.0.1:1");
  REQUIRE(read);
  REQUIRE(read->size() == 2);
  CHECK((*read)[0].name == "npm");
  CHECK((*read)[1].url == "http://127.0.0.1:1");
  CHECK(parse_mirrors("")->empty());
  for (const auto* bad :
       {"npm", "=https://a.example", "NPM=https://a.example", "1=https://a.example",
        "npm=https://a.example,npm=https://b.example", "npm=nonsense"}) {
    CHECK_FALSE_MESSAGE(parse_mirrors(bad), bad);
  }
}
