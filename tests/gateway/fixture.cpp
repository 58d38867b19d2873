#include "tests/gateway/fixture.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/gateway/transcript_reader.hpp"

namespace germline::tests {
namespace {

constexpr uid_t gateway_uid = 61'234;

sockaddr_in loopback(unsigned port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::string unchunked(std::string_view chunks) {
  std::string whole;
  while (!chunks.empty()) {
    const std::size_t size = std::strtoul(std::string(chunks.substr(0, 16)).c_str(), nullptr, 16);
    const auto line_end = chunks.find("\r\n");
    if (size == 0 || line_end == chunks.npos) break;
    whole += chunks.substr(line_end + 2, size);
    chunks.remove_prefix(std::min(chunks.size(), line_end + 2 + size + 2));
  }
  return whole;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

raw_client::raw_client(unsigned port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto address = loopback(port);
  REQUIRE(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
          0);
}

void raw_client::send(const std::string& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto sent = ::send(socket_.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return;  // refused while we were still sending
    at += static_cast<std::size_t>(sent);
  }
}

void raw_client::end_sending() {
  ::shutdown(socket_.get(), SHUT_WR);
}

bool raw_client::read_some(int timeout_ms) {
  pollfd wanted{socket_.get(), POLLIN, 0};
  if (closed_ || ::poll(&wanted, 1, timeout_ms) <= 0) return false;
  char bytes[16384];
  const auto got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
  if (got <= 0) {
    closed_ = true;
    return false;
  }
  received_.append(bytes, static_cast<std::size_t>(got));
  return true;
}

bool raw_client::read_until(const std::string& part, int timeout_ms) {
  while (received_.find(part) == std::string::npos) {
    if (!read_some(timeout_ms)) return false;
  }
  return true;
}

std::int64_t raw_client::wait_closed(int timeout_ms) {
  const system_clock_source time;
  const auto began = time.boot_ms();
  while (!closed_ && time.boot_ms() - began < timeout_ms) read_some(timeout_ms);
  return closed_ ? time.boot_ms() - began : -1;
}

gateway_fixture::gateway_fixture(const nlohmann::json& story, const std::string& more_config,
                                 transport by) {
  REQUIRE(::mkdtemp(folder_.data()) != nullptr);
  REQUIRE(::chmod(folder_.c_str(), 0755) == 0);
  start_provider(story);
  upstream_ = "[upstream]\nurl = \"http://127.0.0.1:" + std::to_string(provider_port_) + "\"\n";
  if (by != transport::plain) start_tls_front(by);
  start_gateway(more_config);
}

gateway_fixture::gateway_fixture(unsigned upstream_port, const std::string& upstream_lines) {
  REQUIRE(::mkdtemp(folder_.data()) != nullptr);
  REQUIRE(::chmod(folder_.c_str(), 0755) == 0);
  upstream_ = "[upstream]\nurl = \"http://127.0.0.1:" + std::to_string(upstream_port) + "\"\n" +
              upstream_lines;
  start_gateway("");
}

gateway_fixture::gateway_fixture(const std::string& upstreams,
                                 std::vector<worker::gateway_key> keys)
    : upstream_(upstreams), keys_(std::move(keys)) {
  REQUIRE(::mkdtemp(folder_.data()) != nullptr);
  REQUIRE(::chmod(folder_.c_str(), 0755) == 0);
  start_gateway("");
}

gateway_fixture::~gateway_fixture() {
  client_.reset();
  for (const pid_t process : {provider_, tls_front_}) {
    if (process <= 0) continue;
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
  }
  std::filesystem::remove_all(folder_);
}

void gateway_fixture::start_provider(const nlohmann::json& story) {
  const std::string story_file = folder_ + "/story.json";
  const std::string report = folder_ + "/report.json";
  std::ofstream(story_file) << story.dump();
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  provider_ = ::fork();
  if (provider_ == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::execl(UPSTREAM_BINARY, UPSTREAM_BINARY, "--listen", "127.0.0.1:0", "--story",
            story_file.c_str(), "--report", report.c_str(), "--bodies", folder_.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  char line[32] = {};
  REQUIRE(::read(ends[0], line, sizeof line - 1) > 0);
  ::close(ends[0]);
  provider_port_ = static_cast<unsigned>(std::atoi(line));
  REQUIRE(provider_port_ > 0);
}

void gateway_fixture::start_tls_front(transport by) {
  const auto place = folder_ + "/tls";
  REQUIRE(::mkdir(place.c_str(), 0755) == 0);
  const std::string name = by == transport::tls_other_name ? "DNS:elsewhere" : "IP:127.0.0.1";
  const auto make = std::string("/bin/sh ") + TLS_CERTIFICATES + " " + place + " " + name + " 2> " +
                    place + "/openssl.log";
  REQUIRE_MESSAGE(std::system(make.c_str()) == 0, read_file(place + "/openssl.log"));
  const auto spoken = place + "/spoken";
  const unique_fd out(::open(spoken.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const auto upstream_port = std::to_string(provider_port_);
  tls_front_ = ::fork();
  if (tls_front_ == 0) {
    ::dup2(out.get(), STDOUT_FILENO);
    ::dup2(::open((place + "/front.log").c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    // Debian's own: it has Debian's packages.
    ::execl("/usr/bin/python3", "python3", TLS_FRONT, (place + "/certificate.pem").c_str(),
            (place + "/key.pem").c_str(), upstream_port.c_str(), nullptr);
    ::_exit(127);
  }
  const auto began = time_.boot_ms();
  while (read_file(spoken).find('\n') == std::string::npos && time_.boot_ms() - began < 20'000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto port = std::atoi(read_file(spoken).c_str());
  REQUIRE_MESSAGE(port > 0, read_file(place + "/front.log"));
  const std::string ca = by == transport::tls_stranger ? "stranger" : "ca";
  upstream_ = "[upstream]\nurl = \"https://127.0.0.1:" + std::to_string(port) + "\"\nca_file = \"" +
              place + "/" + ca + ".pem\"\n";
}

void gateway_fixture::start_gateway(const std::string& more_config) {
  const std::string transcripts = folder_ + "/transcripts";
  REQUIRE(::mkdir(transcripts.c_str(), 0700) == 0);
  std::ofstream(folder_ + "/prices.json")
      << R"({"schema": 1, "models": [{"model": "scripted-1", "input": 1000000000,
      "output": 2000000000, "cache_write": 1000000000, "cache_write_1h": 1000000000,
      "cache_read": 1000000000}, {"model": "scripted-free", "input": 0, "output": 0,
      "cache_write": 0, "cache_write_1h": 0, "cache_read": 0},
      {"model": "scripted-1", "from": "9990-01-01", "input": 9000000000, "output": 9000000000,
      "cache_write": 0, "cache_write_1h": 0, "cache_read": 0},
      {"model": "scripted-later", "from": "9990-01-01", "input": 0, "output": 0,
      "cache_write": 0, "cache_write_1h": 0, "cache_read": 0}]})";
  std::ofstream(folder_ + "/gateway.toml")
      << "schema = 1\n"
      << upstream_ << "[prices]\nfile = \"" << folder_
      << "/prices.json\"\n[transcripts]\ndirectory = \"" << transcripts << "\"\n"
      << more_config;
  worker::gateway_spec spec;
  spec.binary = GATEWAY_BINARY;
  spec.config_file = folder_ + "/gateway.toml";
  spec.keys = keys_;
  if (::geteuid() == 0) {
    spec.uid = gateway_uid;
    spec.gid = gateway_uid;
    REQUIRE(::chown(transcripts.c_str(), gateway_uid, gateway_uid) == 0);
  }
  worker::gateway_callbacks callbacks;
  callbacks.on_event = [this](const std::string&, const std::string& event) {
    const std::scoped_lock lock(mutex_);
    events_.push_back(event);
  };
  callbacks.on_usage = [this](const std::string&, const worker::gateway_usage& usage,
                              const std::string& problem) {
    const std::scoped_lock lock(mutex_);
    usage_ = usage;
    problems_.push_back(problem);
  };
  callbacks.on_gone = [this] {
    const std::scoped_lock lock(mutex_);
    gone_ = true;
    changed_.notify_all();
  };
  // The gateway inherits standard error: into a file, which a test can search for secrets.
  const unique_fd log(
      ::open((folder_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const unique_fd saved(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10));
  ::dup2(log.get(), STDERR_FILENO);
  auto started = worker::gateway_client::start(std::move(spec), std::move(callbacks));
  ::dup2(saved.get(), STDERR_FILENO);
  if (!started) FAIL(started.error().message() << "\n" << gateway_log());
  client_ = std::move(*started);
}

worker::gateway_open gateway_fixture::make_door(worker::gateway_limits limits,
                                                std::int64_t lives_ms) {
  worker::gateway_open request;
  request.listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = loopback(0);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(request.listener.get(), plain, size) == 0);
  REQUIRE(::listen(request.listener.get(), 64) == 0);
  REQUIRE(::getsockname(request.listener.get(), plain, &size) == 0);
  port_ = ntohs(address.sin_port);
  request.attempt_id = attempt_name;
  request.token = test_token;
  request.model = "scripted-1";
  request.deadline_boot_ms = time_.boot_ms() + lives_ms;
  request.limits = limits;
  return request;
}

void gateway_fixture::open(worker::gateway_limits limits, std::int64_t lives_ms) {
  const auto opened = try_open(limits, lives_ms);
  if (!opened) FAIL(opened.error().message());
}

result<void> gateway_fixture::try_open(worker::gateway_limits limits, std::int64_t lives_ms) {
  return client_->open(make_door(limits, lives_ms));
}

void gateway_fixture::open_free(worker::gateway_limits limits) {
  auto request = make_door(limits, 60'000);
  request.model = "scripted-free";
  const auto opened = client_->open(std::move(request));
  if (!opened) FAIL(opened.error().message());
}

result<void> gateway_fixture::open_again(const std::string& attempt, worker::gateway_limits limits,
                                         const worker::replay_wish& wish) {
  auto request = make_door(limits, 60'000);
  request.attempt_id = attempt;
  request.replay = wish;
  return client_->open(std::move(request));
}

std::string gateway_fixture::request(const std::string& body, const std::string& headers,
                                     const std::string& path) {
  return "POST " + path + " HTTP/1.1\r\nhost: x\r\nx-api-key: " + test_token +
         "\r\ncontent-type: application/json\r\n" + headers +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

http_answer gateway_fixture::ask(const std::string& bytes) {
  raw_client client(port_);
  client.send(bytes);
  http_answer answer;
  if (!client.read_until("\r\n\r\n", 10'000)) return answer;
  const auto head_end = client.received().find("\r\n\r\n") + 4;
  answer.head = client.received().substr(0, head_end);
  answer.status = std::atoi(answer.head.c_str() + 9);
  if (answer.head.find("chunked") != std::string::npos) {
    CHECK(client.read_until("0\r\n\r\n", 10'000));
    answer.body = unchunked(client.received().substr(head_end));
    return answer;
  }
  const auto length = answer.head.find("Content-Length: ");
  const auto size = length == std::string::npos
                        ? 0
                        : std::strtoul(answer.head.c_str() + length + 16, nullptr, 10);
  client.send("");
  const system_clock_source time;
  const auto began = time.boot_ms();
  while (client.received().size() < head_end + size && time.boot_ms() - began < 10'000) {
    client.read_until("\1never\1", 50);
  }
  answer.body = client.received().substr(head_end, size);
  return answer;
}

nlohmann::json gateway_fixture::provider_report() {
  ::kill(provider_, SIGTERM);
  ::waitpid(provider_, nullptr, 0);
  provider_ = -1;
  return nlohmann::json::parse(read_file(folder_ + "/report.json"));
}

std::string gateway_fixture::transcript_file() const {
  return folder_ + "/transcripts/" + attempt_name + ".jsonl";
}

std::string gateway_fixture::transcript() const {
  const auto reader = worker::transcript_reader::open(transcript_file());
  if (!reader) FAIL(reader.error().message());
  std::string text;
  for (std::size_t i = 0; i < reader->size(); ++i) {
    const auto one = reader->read(i);
    if (!one) FAIL(one.error().message());
    text += worker::exported_line(*one);
  }
  return text;
}

std::vector<std::string> gateway_fixture::events() {
  const std::scoped_lock lock(mutex_);
  return events_;
}

std::vector<std::string> gateway_fixture::problems() {
  const std::scoped_lock lock(mutex_);
  return problems_;
}

worker::gateway_usage gateway_fixture::usage() {
  const std::scoped_lock lock(mutex_);
  return usage_;
}

bool gateway_fixture::gateway_is_gone(int timeout_ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return gone_; });
}

std::string small_body(bool stream, int max_tokens) {
  return std::string(R"({"model":"scripted-1", "max_tokens": )") + std::to_string(max_tokens) +
         R"(,"messages":[{"role":"user","content":"h\u00e4 ä"}],"stream":)" +
         (stream ? "true" : "false") + "}";
}

}  // namespace germline::tests
