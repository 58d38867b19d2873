#include "tests/bench/fast_upstream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unordered_map>

namespace germline::bench {
namespace {

std::string event(const std::string& type, const std::string& rest) {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" + rest + "}\n\n";
}

std::string chunk(const std::string& bytes) {
  std::array<char, 32> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return size.data() + bytes + "\r\n";
}

struct answers {
  std::string whole, begin, rest;
  answers() {
    const std::string text(40, 'x');
    std::string body = R"({"id":"msg_1","type":"message","role":"assistant","model":"bench-1",)"
                       R"("content":[{"type":"text","text":")" +
                       std::string(800, 'x') +
                       R"("}],"stop_reason":"end_turn","usage":{"input_tokens":15000,)"
                       R"("output_tokens":20}})";
    whole = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body;
    begin =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        "transfer-encoding: chunked\r\n\r\n" +
        chunk(event("message_start", R"(,"message":{"id":"msg_1","usage":{"input_tokens":15000,)"
                                     R"("output_tokens":1}})"));
    for (int i = 0; i < 20; ++i) {
      rest += chunk(event("content_block_delta",
                          R"(,"index":0,"delta":{"type":"text_delta","text":")" + text + "\"}"));
    }
    rest += chunk(event("message_delta", R"(,"delta":{"stop_reason":"end_turn"},)"
                                         R"("usage":{"output_tokens":20})"));
    rest += chunk(event("message_stop", "")) + "0\r\n\r\n";
  }
};

/// False: the connection is over. What it sends fits the socket's buffer.
bool send_all(int socket, std::string_view bytes) {
  return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

/// Answers the requests that are whole in `got`. False: the connection is over.
bool answer(int socket, std::string& got, const answers& with) {
  for (;;) {
    const auto head_end = got.find("\r\n\r\n");
    if (head_end == std::string::npos) return true;
    auto length = got.find("ontent-");  // either case; the first that is a length
    while (length < head_end && got.compare(length + 8, 6, "ength:") != 0) {
      length = got.find("ontent-", length + 1);
    }
    const auto body = head_end + 4;
    const auto size = length < head_end ? std::strtoul(got.c_str() + length + 14, nullptr, 10) : 0;
    if (got.size() < body + size) return true;
    const auto start = std::string_view(got).substr(body, 400);
    const bool streams = start.find("\"stream\":true") != start.npos;
    const bool holds = start.find(held) != start.npos;
    bool sent = send_all(socket, streams ? with.begin : with.whole);
    if (sent && streams && !holds) sent = send_all(socket, with.rest);
    if (!sent) return false;
    got.erase(0, body + size);
  }
}

[[noreturn]] void serve(int listener) {
  const answers with;
  std::unordered_map<int, std::string> connections;
  std::string bytes(128 * 1024, '\0');
  const int events = ::epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [&](int socket) {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.fd = socket;
    ::epoll_ctl(events, EPOLL_CTL_ADD, socket, &wanted);
  };
  watch(listener);
  for (;;) {
    std::array<epoll_event, 64> ready{};
    const int count = ::epoll_wait(events, ready.data(), ready.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int socket = ready[static_cast<std::size_t>(i)].data.fd;
      if (socket == listener) {
        const int fresh = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fresh < 0) continue;
        const int on = 1;
        ::setsockopt(fresh, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[fresh].reserve(70'000);
        watch(fresh);
        continue;
      }
      auto& got = connections[socket];
      const auto read = ::recv(socket, bytes.data(), bytes.size(), 0);
      if (read > 0) got.append(bytes, 0, static_cast<std::size_t>(read));
      if (read <= 0 || !answer(socket, got, with)) {
        connections.erase(socket);
        ::close(socket);
      }
    }
  }
}

}  // namespace

int listen_anywhere(unsigned& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || ::bind(listener, plain, size) != 0 || ::listen(listener, 1'024) != 0 ||
      ::getsockname(listener, plain, &size) != 0) {
    std::perror("gateway_bench: listening on loopback");
    std::exit(1);
  }
  port = ntohs(address.sin_port);
  return listener;
}

fast_upstream::fast_upstream() {
  const int listener = listen_anywhere(port_);
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(listener);
  }
  ::close(listener);
}

fast_upstream::~fast_upstream() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

}  // namespace germline::bench
