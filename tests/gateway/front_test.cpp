// `germline gateway`, as people run it, before a canned provider.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gateway/canned_upstream.hpp"
#include "tests/gateway/fixture.hpp"

using namespace germline;
using namespace germline::tests;
using nlohmann::json;

namespace {

const std::string answer_body =
    R"({"type":"message","content":[],"usage":{"input_tokens":30,"output_tokens":5,)"
    R"("cache_creation_input_tokens":2,"cache_read_input_tokens":3}})";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A folder with a configuration, and the command in it.
class front {
 public:
  explicit front(unsigned upstream_port = 9) {
    REQUIRE(::mkdtemp(folder_.data()) != nullptr);
    REQUIRE(::chmod(folder_.c_str(), 0755) == 0);
    std::filesystem::create_directory(at("transcripts"));
    REQUIRE(::chmod(at("transcripts").c_str(), 0777) == 0);  // as root it is another account's
    std::ofstream(at("prices.json"))
        << R"({"schema": 1, "models": [{"model": "scripted-1", "input": 1000000000,
        "output": 2000000000, "cache_write": 1000000000, "cache_write_1h": 1000000000,
        "cache_read": 1000000000}]})";
    std::ofstream(at("gateway.toml"))
        << "schema = 1\n[upstream]\nurl = \"http://127.0.0.1:" << upstream_port
        << "\"\nkey_env = \"FRONT_KEY\"\n[prices]\nfile = \"" << at("prices.json")
        << "\"\n[transcripts]\ndirectory = \"" << at("transcripts") << "\"\n";
    std::ofstream(at("token")) << test_token << "\n";
    std::ofstream(at("short")) << "short\n";
    std::ofstream(at("spaced")) << "a token that has spaces in it\n";
  }
  ~front() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }
  std::string at(const std::string& name) const { return folder_ + "/" + name; }

  /// `exec` by a shell, so that the process is the command's own.
  void start(const std::string& arguments, const std::string& variables = "FRONT_KEY=" + test_key) {
    const auto command = "exec env -i HOME=" + folder_ + " PATH=\"$PATH\" " + variables +
                         " " GERMLINE_BINARY " gateway " + arguments + " >" + at("out") + " 2>" +
                         at("err") + " </dev/null";
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      ::setpgid(0, 0);
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
  }
  std::string usual() const {
    return "--config " + at("gateway.toml") + " --model scripted-1 --budget '$1'";
  }
  /// The arguments for a configuration with this folder for transcripts.
  std::string writing_to(const std::string& directory) const {
    std::ofstream(at("placed.toml"))
        << "schema = 1\n[upstream]\nurl = \"http://127.0.0.1:9\"\n[prices]\nfile = \""
        << at("prices.json") << "\"\n[transcripts]\ndirectory = \"" << directory << "\"\n";
    return "--config " + at("placed.toml") + " --model scripted-1 --budget 1";
  }
  /// Its port, once it is open.
  unsigned port() {
    for (int waited_ms = 0; waited_ms < 20'000; waited_ms += 20) {
      const auto line = out();
      if (line.ends_with('\n')) {
        const auto colon = line.rfind(':');
        REQUIRE(has(line, "127.0.0.1:"));
        return static_cast<unsigned>(std::atoi(line.c_str() + colon + 1));
      }
      if (::waitpid(process_, nullptr, WNOHANG) != 0) {
        process_ = -1;
        break;
      }
      ::usleep(20'000);
    }
    FAIL(err());
    return 0;
  }
  int wait() {
    int status = 0;
    REQUIRE(::waitpid(std::exchange(process_, -1), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int end_by(int signal) {
    ::kill(process_, signal);
    return wait();
  }
  int run(const std::string& arguments, const std::string& variables = "FRONT_KEY=" + test_key) {
    start(arguments, variables);
    return wait();
  }
  std::string out() const { return read_file(at("out")); }
  std::string err() const { return read_file(at("err")); }
  pid_t pid() const { return process_; }

 private:
  std::string folder_ = "/tmp/front_test.XXXXXX";
  pid_t process_ = -1;
};

std::string request(const std::string& headers = "", const std::string& body = small_body(false)) {
  return "POST /v1/messages HTTP/1.1\r\nhost: x\r\n" + headers +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// The answer's status.
int ask(unsigned port, const std::string& bytes) {
  raw_client client(port);
  client.send(bytes);
  if (!client.read_until("\r\n\r\n", 10'000)) return 0;
  return std::atoi(client.received().c_str() + 9);
}

}  // namespace

TEST_CASE("a request passes with the provider's key, and the end tells what was spent") {
  canned_upstream provider({json_answer(answer_body), json_answer(answer_body)});
  front with(provider.port());
  with.start(with.usual());
  const auto port = with.port();
  CHECK(with.out() == "http://127.0.0.1:" + std::to_string(port) + "\n");
  CHECK(ask(port, request()) == 200);
  // Clients send a key of some kind; where no token is asked for, it does not matter which.
  CHECK(ask(port, request("x-api-key: whatever\r\n")) == 200);
  // What the gateway refuses itself is counted apart, and costs nothing.
  CHECK(ask(port, "POST /v1/other HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n") == 404);
  CHECK(ask(port, request("", R"({"model":"another-1","max_tokens":9,"messages":[]})")) == 400);
  CHECK(has(provider.requests().at(0).head, test_key));
  CHECK(with.end_by(SIGINT) == 0);
  CHECK(with.out() == "http://127.0.0.1:" + std::to_string(port) + "\n");
  // Two times 30 + 2 + 3 in and 5 out, at $1 and $2 a million.
  CHECK(has(with.err(), "spent $0.00009 of $1.00 in 2 requests; 2 more refused\n"));
  CHECK(has(with.err(),
            "tokens: 60 in, 10 out, 4 written to a cache, 6 read from one\ntranscript: "));
  int transcripts = 0;
  for (const auto& file : std::filesystem::directory_iterator(with.at("transcripts"))) {
    ++transcripts;
    CHECK(has(with.err(), "transcript: " + file.path().string() + "\n"));
    CHECK(has(read_file(file.path()), "\"settled\""));
  }
  CHECK(transcripts == 1);
  CHECK_FALSE(has(with.err(), test_key));
}

TEST_CASE("SIGTERM ends it too, and cuts the streams") {
  auto begun = stream_answer(
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":"
      "{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
      1'000, false);
  begun.keeps_open = true;  // it waits for another request, which never comes
  canned_upstream provider({begun, json_answer(answer_body)});
  front with(provider.port());
  with.start(with.usual());
  raw_client client(with.port());
  client.send(request("", small_body(true)));
  CHECK(client.read_until("message_start", 10'000));
  CHECK(with.end_by(SIGTERM) == 0);
  CHECK(client.wait_closed(2'000) >= 0);
  CHECK(has(with.err(), " in 1 request; 0 more refused\n"));
}

TEST_CASE("limits hold, and JSON tells the account") {
  canned_upstream provider({json_answer(answer_body), json_answer(answer_body)});
  front with(provider.port());
  with.start(with.usual() + " --max-requests 1 --json");
  const auto first = [&] {
    for (int waited_ms = 0; waited_ms < 20'000 && !with.out().ends_with('\n'); waited_ms += 20) {
      ::usleep(20'000);
    }
    return with.out();
  }();
  const std::string url = json::parse(first)["url"];
  const auto port = static_cast<unsigned>(std::atoi(url.c_str() + url.rfind(':') + 1));
  CHECK(ask(port, request()) == 200);
  CHECK(ask(port, request()) == 400);
  CHECK(with.end_by(SIGTERM) == 0);
  const auto used = json::parse(with.out().substr(first.size()));
  CHECK(used["requests"] == 1);
  CHECK(used["refused"] == 1);
  CHECK(used["input_tokens"] == 30);
  CHECK(used["cost_nanousd"] == 45'000);
}

TEST_CASE("a budget that is spent refuses what it does not cover") {
  canned_upstream provider({json_answer(answer_body)});
  front with(provider.port());
  with.start("--config " + with.at("gateway.toml") + " --model scripted-1 --budget 0.000001");
  CHECK(ask(with.port(), request()) == 400);
  CHECK(with.end_by(SIGINT) == 0);
  CHECK(provider.requests().empty());
  CHECK(has(with.err(), "spent $0.00 of $0.000001 in 0 requests; 1 more refused\n"));
}

TEST_CASE("prices in dollars, where nano-dollars are meant, are warned of") {
  front with;
  std::ofstream(with.at("prices.json"))
      << R"({"schema": 1, "models": [{"model": "scripted-1", "input": 3, "output": 15,
      "cache_write": 0, "cache_write_1h": 0, "cache_read": 0}]})";
  with.start(with.usual());
  REQUIRE(with.port() > 0);
  CHECK(with.end_by(SIGINT) == 0);
  CHECK(
      has(with.err(), "a price of 3 is $0.000000003 a million tokens; prices are in nano-dollars"));
}

TEST_CASE("with a token only who shows it is served") {
  canned_upstream provider({json_answer(answer_body), json_answer(answer_body)});
  front with(provider.port());
  with.start(with.usual() + " --token-file " + with.at("token"));
  const auto port = with.port();
  CHECK(ask(port, request()) == 401);
  CHECK(ask(port, request("x-api-key: whatever-it-may-be-0123456789\r\n")) == 401);
  CHECK(ask(port, request("x-api-key: " + test_token + "\r\norigin: http://a\r\n")) == 200);
  CHECK(ask(port, request("authorization: Bearer " + test_token + "\r\n")) == 200);
  CHECK(with.end_by(SIGINT) == 0);
  CHECK_FALSE(has(with.err(), test_token));
}

TEST_CASE("a web page spends nothing where no token is asked for") {
  canned_upstream provider({json_answer(answer_body)});
  front with(provider.port());
  with.start(with.usual());
  CHECK(ask(with.port(), request("origin: http://elsewhere.example\r\n")) == 403);
  CHECK(with.end_by(SIGINT) == 0);
  CHECK(provider.requests().empty());
}

TEST_CASE("an interrupt of the terminal, which every process gets, loses no account") {
  canned_upstream provider({json_answer(answer_body)});
  front with(provider.port());
  with.start(with.usual());
  CHECK(ask(with.port(), request()) == 200);
  ::kill(-with.pid(), SIGINT);
  CHECK(with.wait() == 0);
  CHECK(has(with.err(), "in 1 request; 0 more refused\n"));
}

TEST_CASE("a gateway that dies ends the command with 1") {
  front with;
  with.start(with.usual());
  with.port();
  const auto children =
      "/proc/" + std::to_string(with.pid()) + "/task/" + std::to_string(with.pid()) + "/children";
  const pid_t gateway = std::atoi(read_file(children).c_str());
  REQUIRE(gateway > 0);
  ::kill(gateway, SIGKILL);
  CHECK(with.wait() == 1);
  CHECK(has(with.err(), "the gateway ended by itself"));
}

TEST_CASE("what is wrong is named before anything listens") {
  front with;
  const auto config = "--config " + with.at("gateway.toml");
  const struct {
    std::string arguments;
    int code;
    const char* said;
  } cases[] = {
      {"--model scripted-1 --budget 1", 2, "--config is required"},
      {config + " --budget 1", 2, "--model is required"},
      {config + " --model scripted-1", 2, "--budget is required"},
      {with.usual() + " --listen 0.0.0.0:8080", 2, "is no address of loopback"},
      {with.usual() + " --listen localhost:8080", 2, "such as 127.0.0.1:8080 or [::1]:8080"},
      {with.usual() + " --listen 127.0.0.1:99999", 2, "is no port"},
      {config + " --model scripted-1 --budget much", 2, "--budget: "},
      {with.usual() + " --max-requests 0", 2, "is no whole number from 1 to"},
      {with.usual() + " --token-file " + with.at("short"), 2, "a token has 16 to 512"},
      {with.usual() + " --token-file " + with.at("none"), 3, "none"},
      {with.usual() + " --token-file " + with.at("spaced"), 2, "has a space as its character 2"},
      {with.usual() + " --token-file " + with.at(""), 2, "is a folder, and no file"},
      {"--config " + with.at("") + " --model scripted-1 --budget 1", 2, "is a folder, and no file"},
      {"--config /dev/null --model scripted-1 --budget 1", 2, "is a pipe or a device"},
      {"--config '' --model scripted-1 --budget 1", 2, "--config: is empty; it is the gateway's"},
      {config + " --model '' --budget 1", 2, "--model: is empty; it is the name of a model"},
      {config + " --model scripted-1 --budget ''", 2, "--budget: is empty; it is dollars, such"},
      {"--config " + with.at("none") + " --model scripted-1 --budget 1", 3, "none"},
      {"--config " + with.at("prices.json") + " --model scripted-1 --budget 1", 2, "prices.json"},
      {config + " --model another-1 --budget 1", 2, "'another-1' has no price in"},
  };
  for (const auto& [arguments, code, said] : cases) {
    CAPTURE(arguments);
    CHECK(with.run(arguments) == code);
    CHECK(with.out().empty());
    CHECK_MESSAGE(has(with.err(), said), with.err());
  }
  CHECK(with.run(with.usual(), "") == 2);
  CHECK(has(with.err(), "the environment has no FRONT_KEY, which "));
  CHECK(with.run(with.usual(), "FRONT_KEY=") == 2);
  CHECK(has(with.err(), "the environment has an empty FRONT_KEY, which "));
  CHECK(with.run(with.usual(), "FRONT_KEY='a key with spaces'") == 2);
  CHECK(
      has(with.err(), "the API key in the environment's FRONT_KEY has a space as its character 2"));
  CHECK_FALSE(has(with.err(), "with spaces"));
}

TEST_CASE("a model that no upstream serves is a mistake in the configuration") {
  front with;
  std::ofstream(with.at("served.toml"))
      << "schema = 1\n[[upstream]]\nname = \"a\"\nurl = \"http://127.0.0.2:9\"\nmodels = "
         "[\"claude-*\", \"other\"]\n[prices]\nfile = \""
      << with.at("prices.json") << "\"\n";
  CHECK(with.run("--config " + with.at("served.toml") + " --model scripted-1 --budget 1") == 2);
  CHECK_MESSAGE(has(with.err(), "no upstream in " + with.at("served.toml") +
                                    " serves the model 'scripted-1': their models are 'claude-*', "
                                    "'other'; add it to those of one"),
                with.err());
}

TEST_CASE("a folder for transcripts that cannot be made is a mistake in the configuration") {
  front with;
  std::filesystem::create_symlink("nowhere", with.at("link"));
  const struct {
    std::string directory;
    int code;
    std::string said;
  } cases[] = {
      {"/nope/x", 3, "directory /nope/x is not there, nor is /nope: make it"},
      {"/nope/x/", 3, "directory /nope/x is not there, nor is /nope: make it"},
      {with.at("link"), 3, "is a link to what is not there"},
      {with.at("token"), 2, "directory " + with.at("token") + " is no folder: name one"},
      {with.at("token") + "/x", 2, "/x cannot be: " + with.at("token") + " is no folder"},
  };
  for (const auto& [directory, code, said] : cases) {
    CAPTURE(directory);
    CHECK(with.run(with.writing_to(directory)) == code);
    CHECK(with.out().empty());
    CHECK_MESSAGE(has(with.err(), with.at("placed.toml") + ": [transcripts] "), with.err());
    CHECK_MESSAGE(has(with.err(), said), with.err());
  }
}

TEST_CASE("the last folder of the path of transcripts is the gateway's to make") {
  for (const std::string name : {"transcripts/", "link", "transcripts/made"}) {
    CAPTURE(name);
    front with;
    std::filesystem::create_symlink("transcripts", with.at("link"));
    with.start(with.writing_to(with.at(name)));
    with.port();
    CHECK(with.end_by(SIGTERM) == 0);
  }
}

TEST_CASE("a port for metrics that another program has is told with the setting") {
  canned_upstream other({});
  front with;
  const auto place = "127.0.0.1:" + std::to_string(other.port());
  std::ofstream(with.at("gateway.toml"), std::ios::app)
      << "[metrics]\nlisten = \"" << place << "\"\n";
  CHECK(with.run(with.usual()) == 1);
  CHECK(has(with.err(), "[metrics] listen = '" + place +
                            "': metrics cannot be served there: "
                            "another program listens there"));
}

TEST_CASE("the gateway's own program says which of its arguments is wrong") {
  front with;
  const struct {
    const char* arguments;
    const char* said;
  } cases[] = {
      {"", "--config is missing"},
      {"--config x", "--control-fd is missing"},
      {"--config '' --control-fd 0", "--config has no value"},
      {"--config x --control-fd", "--control-fd has no value"},
      {"--config x --config y --control-fd 0", "--config is there twice"},
      {"--config x --control-fd 0x", "--control-fd '0x' is no number of a descriptor"},
      {"--config x --control-fd 0 --key-fd 99", "--key-fd 99 is no open descriptor"},
      {"--config x --control-fd 0 --journals ''", "--journals has no value"},
      {"--help x", "'--help' is no flag"},
  };
  for (const auto& [arguments, said] : cases) {
    CAPTURE(arguments);
    const auto command =
        std::string(GATEWAY_BINARY " ") + arguments + " 2>" + with.at("err") + " </dev/null";
    CHECK(std::system(command.c_str()) != 0);
    CHECK_MESSAGE(has(with.err(), said), with.err());
    CHECK(has(with.err(), "usage: germline-gateway --config FILE"));
  }
}
