#include "worker/gateway/strict_body.hpp"

#include <doctest/doctest.h>

using namespace germline::worker;

TEST_CASE("a member is put in or replaced, and every other byte stays") {
  CHECK(strict::with_member(R"( { "a" : 1 } )", "b", 2) == R"( {"b":2, "a" : 1 } )");
  CHECK(strict::with_member(R"({"a":[1,{"b":"}\""}],  "b" : {"c":[]} , "d":1})", "b", 2) ==
        R"({"a":[1,{"b":"}\""}],  "b" : 2 , "d":1})");
  CHECK(strict::with_member(R"({"x":-1.5e3,"b":null})", "b", true) == R"({"x":-1.5e3,"b":true})");
  CHECK(strict::with_member(R"({"\u0062":1})", "b", 2) == R"({"\u0062":2})");
  CHECK(strict::with_member(R"({"a":{"b":1}})", "b", 2) == R"({"b":2,"a":{"b":1}})");
}

TEST_CASE("what is read is what another parser reads") {
  for (
      const char* text :
      {R"({})", R"({"a":[]})", R"({"a":{"b":[1,-2,3.5,1e3,18446744073709551615,true,false,null]}})",
       R"({"a":[[{}],[[],{"b":"\u00e4\n\""}]],"":{"c":{"d":{}}},"e":[{"f":1},{"f":2}],"g":"ä"})"}) {
    CAPTURE(text);
    CHECK(strict::parse(text) == nlohmann::json::parse(text));
  }
}

TEST_CASE("a body that two readers might read as two is refused, however large, in no time") {
  const auto refusal = [](std::string_view body) -> std::string {
    try {
      strict::parse(body);
    } catch (const strict::refused& why) {
      return why.message;
    }
    return "";
  };
  CHECK(refusal(R"({"a":1,"b":{"a":1}})").empty());
  CHECK(refusal(R"({"a":1,"\u0061":2})").find("'a' is there twice") != std::string::npos);
  for (const auto& [body, why] : std::initializer_list<std::pair<std::string, const char*>>{
           {R"([{"a":1}])", "is another JSON value"},
           {"", "is empty"},
           {R"({"a":)", "a bracket"},
           {R"({"a":1,})", "a comma"},
           {R"({"a":NaN})", "words that are no values"},
           {"{\"a\":\"\n\"}", "a control character"},
           {R"({"a":"\udc00"})", "an escape"},
           {R"({"a":"b)", "a string does not end"},
           {"\xef\xbb\xbf{}", "a byte order mark"},
           {"{\"a\":\"\xed\xa0\x80\"}", "not valid UTF-8"}}) {
    CAPTURE(body);
    CHECK(refusal(body).starts_with("the body must be a JSON object"));
    CHECK(refusal(body).find(why) != std::string::npos);
  }
  CHECK(refusal(R"({"a":18446744073709551616})").find("a number") != std::string::npos);
  CHECK(refusal(R"({"a":1e999})").find("a number") != std::string::npos);
  CHECK(refusal(std::string_view("{}\0{\"a\":1}", 10)).find("NUL") != std::string::npos);
  CHECK(refusal(R"({"a":)" + std::string(300, '[') + std::string(300, ']') + "}")
            .find("nested too deeply") != std::string::npos);
  // Quadratic time would be minutes.
  std::string wide = R"({"a":[{})";
  for (int i = 0; i < 499'997; ++i) wide += ",{}";
  CHECK(refusal(wide + "]}").empty());
  CHECK(refusal(wide + ",{}]}").find("more than 500000 values") != std::string::npos);
}
