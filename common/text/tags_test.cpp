#include "common/text/tags.hpp"

#include <doctest/doctest.h>

using namespace germline;

TEST_CASE("tags are read, sorted, and each is there once") {
  CHECK(*parse_tags("zone=a, gpu,gpu") == std::vector<std::string>{"gpu", "zone=a"});
  CHECK(parse_tags("")->empty());
  CHECK(parse_tags("  ")->empty());
  CHECK(*parse_tags("a.b_c/d-1") == std::vector<std::string>{"a.b_c/d-1"});
  CHECK(join_tags({"gpu", "zone=a"}) == "gpu, zone=a");
}

TEST_CASE("what is no tag is named, with what would be one") {
  for (const auto* wrong : {"GPU", "a b", "gpu,", ",", "zone:a", "a\nb", "ä"}) {
    CAPTURE(wrong);
    const auto read = parse_tags(wrong);
    REQUIRE_FALSE(read);
    CHECK(read.error().code() == error_code::invalid_argument);
  }
  CHECK(parse_tags("GPU").error().message().find("'GPU' is no tag") == 0);
  CHECK(check_tag(std::string(64, 'a')));
  CHECK(check_tag(std::string(65, 'a')).error().message().find("has 65 bytes") !=
        std::string::npos);
  std::vector<std::string> many;
  for (int i = 0; i < 64; ++i) many.push_back("t" + std::to_string(i));
  CHECK(checked_tags(many));
  many.emplace_back("t64");
  CHECK(checked_tags(many).error().message() == "65 tags are given; at most 64 are taken");
}

TEST_CASE("a worker has what is wanted, or it has not") {
  CHECK(has_tags({"gpu", "zone=a"}, {}));
  CHECK(has_tags({"gpu", "zone=a"}, {"zone=a"}));
  CHECK_FALSE(has_tags({"gpu"}, {"gpu", "zone=a"}));
  CHECK_FALSE(has_tags({}, {"gpu"}));
}
