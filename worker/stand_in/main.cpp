// germline-stand-in: the model that a new artefact meets in probation. Runs inside the probation
// sandbox under a uid of its own, serves loopback, prints its record as one JSON line when its
// standard input ends. Usage: germline-stand-in PORT.
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>

#include <unistd.h>

#include "worker/stand_in/exchange.hpp"

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

constexpr std::uint64_t max_body_bytes = 16 << 20;
constexpr int max_connections = 64;

class server {
 public:
  explicit server(unsigned short port)
      : acceptor_(context_, {asio::ip::address_v4::loopback(), port}) {}

  void serve() {
    for (;;) {
      boost::system::error_code failed;
      tcp::socket socket(context_);
      acceptor_.accept(socket, failed);
      if (failed) continue;
      if (connections_ >= max_connections) continue;  // closes it
      ++connections_;
      std::thread([this, peer = std::move(socket)]() mutable {
        talk(peer);
        --connections_;
      }).detach();
    }
  }

  std::string record_json() {
    const std::scoped_lock lock(mutex_);
    return exchange_.record_json();
  }

 private:
  void talk(tcp::socket& socket) {
    boost::beast::flat_buffer buffer;
    for (;;) {
      boost::system::error_code failed;
      http::request_parser<http::string_body> parser;
      parser.body_limit(max_body_bytes);
      http::read(socket, buffer, parser, failed);
      if (failed) return;
      const auto& request = parser.get();
      std::string path(request.target());
      path.resize(std::min(path.find('?'), path.size()));
      germline::worker::stand_in_reply reply;
      {
        const std::scoped_lock lock(mutex_);
        const auto method = request.method_string();
        reply = exchange_.answer({method.data(), method.size()}, path, request.body());
      }
      http::response<http::string_body> response(static_cast<http::status>(reply.status), 11);
      response.set(http::field::content_type, reply.content_type);
      response.keep_alive(request.keep_alive());
      response.body() = std::move(reply.body);
      response.prepare_payload();
      http::write(socket, response, failed);
      if (failed || !response.keep_alive()) return;
    }
  }

  asio::io_context context_;
  tcp::acceptor acceptor_;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  germline::worker::exchange exchange_;
};

}  // namespace

int main(int argc, char** argv) {
  unsigned port = 0;
  if (argc != 2 ||
      std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), port).ec != std::errc() ||
      port == 0 || port > 65535) {
    std::fputs("usage: germline-stand-in PORT\n", stderr);
    return 2;
  }
  try {
    server stand_in(static_cast<unsigned short>(port));
    std::puts("listening");
    std::fflush(stdout);
    std::thread([&stand_in] { stand_in.serve(); }).detach();
    char ignored[64];
    while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
    std::puts(stand_in.record_json().c_str());
    std::fflush(stdout);
    ::_exit(0);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "germline-stand-in: %s\n", failure.what());
    return 1;
  }
}
