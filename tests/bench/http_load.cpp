#include "tests/bench/http_load.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace germline::bench {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t longest_wait_ns = 30 * second_ns;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "gateway_bench: %s\n", why.c_str());
  std::exit(1);
}

/// Whether `got` is one whole answer.
bool is_whole(const std::string& got) {
  const auto head_end = got.find("\r\n\r\n");
  if (head_end == std::string::npos) return false;
  auto length = got.find("ontent-");
  while (length < head_end && got.compare(length + 8, 6, "ength:") != 0) {
    length = got.find("ontent-", length + 1);
  }
  if (length < head_end) {
    return got.size() >= head_end + 4 + std::strtoul(got.c_str() + length + 14, nullptr, 10);
  }
  return got.ends_with("\r\n0\r\n\r\n");
}

}  // namespace

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * second_ns + now.tv_nsec;
}

http_load::http_load(unsigned port, std::size_t connections, std::string request)
    : request_(std::move(request)), connections_(connections), events_(::epoll_create1(0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    auto& one = connections_[i];
    one.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(one.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(one.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      give_up("connecting to port " + std::to_string(port) + " failed");
    }
    epoll_event wanted{};
    wanted.events = EPOLLIN | EPOLLOUT | EPOLLET;
    wanted.data.u64 = i;
    ::epoll_ctl(events_, EPOLL_CTL_ADD, one.socket, &wanted);
  }
}

http_load::~http_load() {
  for (const auto& one : connections_) ::close(one.socket);
  ::close(events_);
}

void http_load::write(connection& one) {
  while (one.sent < request_.size()) {
    const auto sent = ::send(one.socket, request_.data() + one.sent, request_.size() - one.sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent <= 0) give_up("a connection was closed while a request was sent");
    one.sent += static_cast<std::size_t>(sent);
  }
}

void http_load::send_on(connection& one, std::int64_t due_ns) {
  one.busy = true;
  one.sent = 0;
  one.due_ns = due_ns;
  one.first_ns = 0;
  one.got.clear();
  write(one);
}

template <class Done>
void http_load::poll(std::int64_t until_ns, Done done) {
  static std::array<char, 64 * 1024> bytes;
  const auto left_ns = std::max<std::int64_t>(0, until_ns - now_ns());
  const timespec wait{left_ns / second_ns, left_ns % second_ns};
  std::array<epoll_event, 64> ready{};
  const int count = ::epoll_pwait2(events_, ready.data(), ready.size(), &wait, nullptr);
  for (int i = 0; i < count; ++i) {
    auto& one = connections_[ready[static_cast<std::size_t>(i)].data.u64];
    if (!one.busy) continue;
    write(one);
    for (;;) {
      const auto got = ::recv(one.socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) break;
      if (got <= 0) give_up("a connection was closed before its answer: " + one.got.substr(0, 500));
      if (one.first_ns == 0) one.first_ns = now_ns();
      one.got.append(bytes.data(), static_cast<std::size_t>(got));
    }
    if (!one.got.empty() && !one.got.starts_with("HTTP/1.1 200")) give_up(one.got.substr(0, 500));
    done(one);
  }
}

void http_load::run(std::size_t count, timings& into) {
  const auto began = now_ns();
  std::size_t started = 0;
  std::size_t ended = 0;
  for (auto& one : connections_) {
    if (started < count) send_on(one, now_ns()), ++started;
  }
  while (ended < count) {
    poll(now_ns() + longest_wait_ns, [&](connection& one) {
      if (!is_whole(one.got)) return;
      const auto now = now_ns();
      into.whole_ns.push_back(now - one.due_ns);
      into.first_ns.push_back(one.first_ns - one.due_ns);
      one.busy = false;
      ++ended;
      if (started < count) send_on(one, now_ns()), ++started;
    });
    if (now_ns() - began > 10 * longest_wait_ns) give_up("a run takes too long");
  }
  into.lasted_ns += now_ns() - began;
}

void http_load::run_at(double per_second, std::size_t count, timings& into) {
  const auto began = now_ns();
  const auto step_ns = static_cast<std::int64_t>(1e9 / per_second);
  std::size_t started = 0;
  std::size_t ended = 0;
  const auto due = [&] { return began + static_cast<std::int64_t>(started) * step_ns; };
  while (ended < count) {
    for (auto& one : connections_) {
      if (one.busy || started >= count || due() > now_ns()) continue;
      send_on(one, due());
      ++started;
    }
    const bool free = std::any_of(connections_.begin(), connections_.end(),
                                  [](const connection& one) { return !one.busy; });
    const auto until = free && started < count ? due() : now_ns() + longest_wait_ns;
    poll(until, [&](connection& one) {
      if (!is_whole(one.got)) return;
      into.whole_ns.push_back(now_ns() - one.due_ns);
      into.first_ns.push_back(one.first_ns - one.due_ns);
      one.busy = false;
      ++ended;
    });
    if (now_ns() - began > 10 * longest_wait_ns) give_up("a run takes too long");
  }
  into.lasted_ns += now_ns() - began;
}

void http_load::begin(const std::string& part) {
  const auto began = now_ns();
  for (auto& one : connections_) send_on(one, began);
  std::size_t begun = 0;
  while (begun < connections_.size()) {
    poll(now_ns() + second_ns, [&](connection& one) {
      if (one.got.find(part) == std::string::npos) return;
      one.busy = false;
      ++begun;
    });
    if (now_ns() - began > longest_wait_ns) {
      give_up("only " + std::to_string(begun) + " streams of " +
              std::to_string(connections_.size()) + " have begun");
    }
  }
}

}  // namespace germline::bench
