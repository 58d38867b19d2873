#include "worker/gateway/plain_text.hpp"

#include <doctest/doctest.h>

using namespace germline;
using namespace germline::worker;

TEST_CASE("a secret is one word, and a message about it does not show it") {
  const auto why = [](const std::string& secret) {
    const auto checked = check_secret(secret, "the key in K");
    return checked ? std::string() : checked.error().message();
  };
  CHECK(why("") == "");
  CHECK(why("sk-ant-api03-Ab_~!=") == "");
  CHECK(why("secret key") ==
        "the key in K has a space as its character 7; it must be one word of printable ASCII, "
        "without a space or a line break");
  CHECK(why("secret\r").find("has a carriage return (of a Windows line end)") != std::string::npos);
  CHECK(why("secret\nmore").find("has a line break") != std::string::npos);
  CHECK(why("\tsecret").find("has a tab as its character 1") != std::string::npos);
  CHECK(why("se\x1b[1mcret").find("has a control character") != std::string::npos);
  CHECK(why("sécret").find("has something that is no ASCII as its character 2") !=
        std::string::npos);
  CHECK(why("\"secret\"") == "the key in K stands in quotes; leave them out");
  CHECK(why(std::string(8'192, 'a')) == "");
  CHECK(why(std::string(8'193, 'a')) == "the key in K has more than 8192 characters");
  for (const char* secret : {"secret key", "secret\r", "\"secret\"", "sécret"}) {
    CHECK(why(secret).find("cret") == std::string::npos);
  }
}

TEST_CASE("a file of text is a regular one") {
  const auto why = [](const std::string& path) {
    const auto read = read_text_file(path, "the file");
    return read ? std::string() : read.error().message();
  };
  CHECK(why("/proc/self/status") == "");
  CHECK(why("/") == "the file / is a folder, and no file: name a file in it");
  CHECK(why("/dev/zero").find("is a pipe or a device") != std::string::npos);
  CHECK(why("/no/such").find("reading the file /no/such: No such file") == 0);
  CHECK(why("/no/such").find("relative") == std::string::npos);
  CHECK(why("no-such").ends_with("(a relative path begins at the folder where this was started)"));
}
