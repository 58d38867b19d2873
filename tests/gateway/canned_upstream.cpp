#include "tests/gateway/canned_upstream.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace germline::tests {
namespace {

bool send_all(int socket, const std::string& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto sent = ::send(socket, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    at += static_cast<std::size_t>(sent);
  }
  return true;
}

bool answer(int socket, const canned_answer& with) {
  if (!send_all(socket, with.head)) return false;
  for (const auto& piece : with.pieces) {
    if (!send_all(socket, piece)) return false;
    if (with.pieces.size() < 200) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pollfd end{socket, POLLIN, 0};
  if (with.falls_silent) static_cast<void>(::poll(&end, 1, 10'000));
  return true;
}

std::string chunk(const std::string& bytes) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}

}  // namespace

canned_answer json_answer(const std::string& body, const std::string& status) {
  return {"HTTP/1.1 " + status + "\r\ncontent-type: application/json\r\nconnection: close\r\n" +
              "content-length: " + std::to_string(body.size()) + "\r\n\r\n",
          {body}};
}

canned_answer kept_open(const std::string& body) {
  auto answer = json_answer(body);
  const std::string closing = "connection: close\r\n";
  answer.head.erase(answer.head.find(closing), closing.size());
  answer.keeps_open = true;
  return answer;
}

canned_answer no_answer() {
  return {};
}

canned_answer stream_answer(const std::string& events, std::size_t piece, bool whole) {
  canned_answer answer{
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
      "transfer-encoding: chunked\r\n\r\n",
      {}};
  for (std::size_t at = 0; at < events.size(); at += piece) {
    answer.pieces.push_back(chunk(events.substr(at, piece)));
  }
  if (whole) answer.pieces.emplace_back("0\r\n\r\n");
  return answer;
}

canned_upstream::canned_upstream(std::vector<canned_answer> answers, int read_pause_ms)
    : answers_(std::move(answers)),
      read_pause_ms_(read_pause_ms),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  const int small = 16 * 1024;  // else the kernel takes all of a body at once
  if (read_pause_ms > 0) {
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }
  REQUIRE(::bind(listener_.get(), plain, size) == 0);
  REQUIRE(::listen(listener_.get(), 16) == 0);
  REQUIRE(::getsockname(listener_.get(), plain, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

canned_upstream::~canned_upstream() {
  ::shutdown(listener_.get(), SHUT_RDWR);  // ends accept()
  thread_.join();
}

std::vector<canned_upstream::request> canned_upstream::requests() {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

void canned_upstream::serve() {
  for (std::size_t next = 0;;) {
    const unique_fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bool stays = true;
    while (stays && next < answers_.size() && take_request(socket.get())) {
      const auto& with = answers_[next++];
      stays = answer(socket.get(), with) && with.keeps_open;
    }
    if (!stays) continue;
    // No answer is left: it is the other end's to close, unless somebody else comes.
    pollfd either[] = {{socket.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    while (::poll(either, 2, -1) < 0 && errno == EINTR) {
    }
  }
}

bool canned_upstream::take_request(int socket) {
  std::string got;
  std::size_t head_end = std::string::npos;
  std::size_t whole = std::string::npos;
  char bytes[16384];
  while (got.size() < whole) {
    std::this_thread::sleep_for(std::chrono::milliseconds(read_pause_ms_));
    const auto read = ::recv(socket, bytes, sizeof bytes, 0);
    if (read <= 0) return false;
    got.append(bytes, static_cast<std::size_t>(read));
    if (head_end == std::string::npos && (head_end = got.find("\r\n\r\n")) != std::string::npos) {
      head_end += 4;
      const auto length = got.find("Content-Length: ");
      whole =
          head_end + (length < head_end ? std::strtoul(got.c_str() + length + 16, nullptr, 10) : 0);
    }
  }
  const std::scoped_lock lock(mutex_);
  requests_.push_back({got.substr(0, head_end), got.substr(head_end)});
  return true;
}

}  // namespace germline::tests
