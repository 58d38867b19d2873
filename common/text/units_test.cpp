#include "common/text/units.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string_view>

#include "common/text/glob.hpp"

using namespace germline;

TEST_CASE("durations carry their unit") {
  CHECK(*parse_duration_ms("250ms") == 250);
  CHECK(*parse_duration_ms("30m") == 1'800'000);
  CHECK(*parse_duration_ms("1h30m") == 5'400'000);
  CHECK(*parse_duration_ms("7d") == 604'800'000);
  CHECK(*parse_duration_ms("0") == 0);
  for (const auto* bad : {"", "30", "m", "30 m", "-1s", "1.5h", "30m1h", "1s1s", "30x", "1m30",
                          "99999999999999999999s", "999999999999999999d"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(parse_duration_ms(bad));
    CHECK(parse_duration_ms(bad).error().message().find("such as \"30m\"") != std::string::npos);
  }
}

TEST_CASE("sizes carry their unit") {
  CHECK(*parse_size_bytes("2GiB") == 2'147'483'648);
  CHECK(*parse_size_bytes("64KiB") == 65'536);
  CHECK(*parse_size_bytes("5MB") == 5'000'000);
  CHECK(*parse_size_bytes("12B") == 12);
  for (const auto* bad : {"", "2", "2gib", "2 GiB", "-1B", "GiB", "9999999TiB"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(parse_size_bytes(bad));
    CHECK(parse_size_bytes(bad).error().message().find("such as \"2GiB\"") != std::string::npos);
  }
}

TEST_CASE("what is written can be read back") {
  for (const std::int64_t ms : {1, 999, 1'000, 61'001, 5'400'000, 86'400'000}) {
    CHECK(*parse_duration_ms(format_duration_ms(ms)) == ms);
  }
  CHECK(format_duration_ms(5'400'000) == "1h30m");
  CHECK(format_size_bytes(std::int64_t{2} << 30) == "2GiB");
  CHECK(format_size_bytes(1'500) == "1500B");
}

TEST_CASE("an unknown key names the nearest known one") {
  constexpr std::array<std::string_view, 3> known = {"name", "context", "artefact"};
  CHECK(nearest_key("contxt", known) == "context");
  CHECK(nearest_key("artifact", known) == "artefact");
  CHECK(nearest_key("nmae", known) == "name");
  CHECK_FALSE(nearest_key("wall_time", known).has_value());
  CHECK(unknown_key_message("contxt", known) == "unknown key `contxt`; did you mean `context`?");
  CHECK(unknown_key_message("zzzzzzzz", known) ==
        "unknown key `zzzzzzzz`; known here: `name` `context` `artefact`");
}

TEST_CASE("globs match whole paths") {
  CHECK(glob_matches("protected/**", "protected/run"));
  CHECK(glob_matches("protected/**", "protected/a/b"));
  CHECK(glob_matches("protected/**", "protected"));
  CHECK_FALSE(glob_matches("protected/**", "protectedx/run"));
  CHECK_FALSE(glob_matches("protected/**", "a/protected/run"));
  CHECK(glob_matches("**/*.sh", "a/b/c.sh"));
  CHECK(glob_matches("**/*.sh", "c.sh"));
  CHECK_FALSE(glob_matches("*.sh", "a/c.sh"));
  CHECK(glob_matches("a/?.c", "a/b.c"));
  CHECK(glob_matches("a/**/z", "a/z"));
  CHECK(glob_matches("genome.toml", "genome.toml"));
  for (const auto* bad : {"", "/etc", "../x", "a//b", "a/./b", "a**", "a\\b"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_glob(bad));
  }
  CHECK(check_glob("protected/**"));
}

TEST_CASE("clean paths stay inside") {
  CHECK(is_clean_relative_path("build/agent"));
  for (const auto* bad : {"", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\nb", "a\\b"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_clean_relative_path(bad));
  }
}

TEST_CASE("sizes for people are told to a tenth where that says something") {
  CHECK(rough_size(0) == "0 B");
  CHECK(rough_size(1'023) == "1023 B");
  CHECK(rough_size(1'024) == "1.0 KiB");
  CHECK(rough_size(1'258'292) == "1.2 MiB");
  CHECK(rough_size(300 * 1'024) == "300 KiB");
  CHECK(rough_size(std::int64_t{5} << 30) == "5.0 GiB");
}
