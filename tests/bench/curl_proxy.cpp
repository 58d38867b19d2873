#include "tests/bench/curl_proxy.hpp"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>

#include "tests/bench/fast_upstream.hpp"

namespace germline::bench {
namespace {

std::size_t keep(char* bytes, std::size_t, std::size_t size, void* into) {
  static_cast<std::string*>(into)->append(bytes, size);
  return size;
}

/// One whole request. False: the connection is over.
bool take(int socket, std::string& got, std::size_t& body_at) {
  static std::array<char, 128 * 1024> bytes;
  got.clear();
  std::size_t whole = std::string::npos;
  while (got.size() < whole) {
    const auto read = ::recv(socket, bytes.data(), bytes.size(), 0);
    if (read <= 0) return false;
    got.append(bytes.data(), static_cast<std::size_t>(read));
    const auto head_end = got.find("\r\n\r\n");
    if (whole != std::string::npos || head_end == std::string::npos) continue;
    const auto length = got.find("content-length: ");
    body_at = head_end + 4;
    whole =
        body_at + (length < head_end ? std::strtoul(got.c_str() + length + 16, nullptr, 10) : 0);
  }
  return true;
}

void serve_one(CURL* easy, int socket) {
  std::string request;
  std::string answer;
  std::size_t body_at = 0;
  ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &keep);
  ::curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
  while (take(socket, request, body_at)) {
    answer.clear();
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.size() - body_at));
    ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.data() + body_at);
    if (::curl_easy_perform(easy) != CURLE_OK) return;
    const auto out =
        "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(answer.size()) + "\r\n\r\n" + answer;
    if (::send(socket, out.data(), out.size(), MSG_NOSIGNAL) < 0) return;
  }
}

[[noreturn]] void serve(int listener, unsigned upstream_port) {
  CURL* const easy = ::curl_easy_init();
  const auto url = "http://127.0.0.1:" + std::to_string(upstream_port) + "/v1/messages";
  curl_slist* const headers = ::curl_slist_append(nullptr, "expect:");
  ::curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  for (;;) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    serve_one(easy, socket);
    ::close(socket);
  }
}

}  // namespace

curl_proxy::curl_proxy(unsigned upstream_port) {
  const int listener = listen_anywhere(port_);
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(listener, upstream_port);
  }
  ::close(listener);
}

curl_proxy::~curl_proxy() {
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

}  // namespace germline::bench
