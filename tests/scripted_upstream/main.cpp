// germline-scripted-upstream: a scripted provider, and declared to be one in every answer
// (x-germline-scripted: 1). Serves Anthropic Messages, and OpenAI's Chat Completions and Responses,
// on loopback from a story (docs/scripted-provider.md), so that every byte of a demo or a test goes
// the real way. Usage: germline-scripted-upstream --listen 127.0.0.1:PORT --story FILE
//                                                 [--report FILE] [--bodies DIRECTORY]
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include <unistd.h>

#include "tests/scripted_upstream/messages_reply.hpp"
#include "tests/scripted_upstream/openai_dialects.hpp"
#include "tests/scripted_upstream/outputs.hpp"
#include "tests/scripted_upstream/story.hpp"

namespace {

using namespace germline;
using namespace germline::scripted;
using nlohmann::json;
namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using http_request = http::request<http::string_body>;

constexpr std::uint64_t max_body_bytes = 64 << 20;
constexpr std::string_view chat_path = "/v1/chat/completions";
constexpr std::string_view responses_path = "/v1/responses";

/// The request as a story looks at it, in whatever dialect it came.
json as_messages(const std::string& path, const json& body) {
  if (path == chat_path) return messages_request_of_chat(body);
  return path == responses_path ? messages_request_of_responses(body) : body;
}

json answer_of(const std::string& path, const json& message) {
  if (path == chat_path) return chat_answer_of(message);
  return path == responses_path ? responses_answer_of(message) : message;
}

std::vector<std::string> events_of(const std::string& path, const json& message, const json& body) {
  if (path == responses_path) return responses_events_of(message);
  if (path != chat_path) return scripted::events_of(message);
  const json options = body.value("stream_options", json::object());
  return chat_events_of(message, options.value("include_usage", false));
}

json error_of(const std::string& path, const char* type, const std::string& message) {
  json error = {{"type", type}, {"message", message}};
  if (path == chat_path || path == responses_path) {
    error["param"] = nullptr;
    error["code"] = nullptr;
    return {{"error", error}};
  }
  return {{"type", "error"}, {"error", error}};
}

struct options {
  unsigned short port = 0;
  std::string story_file;
  std::string report_file;
  std::string bodies_directory;
};

class server {
 public:
  server(options given, story told)
      : options_(std::move(given)),
        acceptor_(context_, {asio::ip::make_address("127.0.0.1"), options_.port}),
        story_(std::move(told)) {}

  unsigned short port() const { return acceptor_.local_endpoint().port(); }

  void serve() {
    for (;;) {
      boost::system::error_code failed;
      tcp::socket socket(context_);
      acceptor_.accept(socket, failed);
      if (failed) continue;
      std::thread([this, peer = std::move(socket)]() mutable { talk(peer); }).detach();
    }
  }

  /// Writes the report; true when the story was told whole, and the report could be written.
  bool report() {
    const std::scoped_lock lock(mutex_);
    json out = story_.report();
    out["requests"] = requests_;
    out["clients_gone"] = clients_gone_.load();
    if (options_.report_file.empty()) return out["ok"];
    std::ofstream file(options_.report_file);
    // What was got may have been cut within a character.
    file << out.dump(2, ' ', false, json::error_handler_t::replace) << "\n" << std::flush;
    if (!file) {
      std::fprintf(stderr, "scripted provider: cannot write %s\n", options_.report_file.c_str());
    }
    return out["ok"] && file;
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
      if (!answer(socket, parser.get())) return;
    }
  }

  bool answer(tcp::socket& socket, const http_request& request) {
    const std::string target(request.target().data(), request.target().size());
    const std::string path = target.substr(0, target.find('?'));
    if (request.method() != http::verb::post ||
        (path != "/v1/messages" && path != "/v1/messages/count_tokens" && path != chat_path &&
         path != responses_path)) {
      return send(socket, request, 404, error_of(path, "not_found_error", "not in this script"));
    }
    const json body = json::parse(request.body(), nullptr, false);
    if (!body.is_object()) {
      return send(socket, request, 400, error_of(path, "invalid_request_error", "not an object"));
    }
    if (path == "/v1/messages/count_tokens") {
      return send(socket, request, 200, {{"input_tokens", 1 + request.body().size() / 4}});
    }
    story_answer told;
    std::uint64_t serial = 0;
    {
      const std::scoped_lock lock(mutex_);
      serial = ++requests_;
      keep(request, serial);
      try {
        told = story_.answer(as_messages(path, body));
      } catch (const std::exception& bad) {
        told.mismatch = std::string("the request cannot be read: ") + bad.what();
      }
    }
    if (!told.ok) {
      std::fprintf(stderr, "scripted provider: %s\n", told.mismatch.c_str());
      return send(socket, request, 400, error_of(path, "scripted_mismatch", told.mismatch));
    }
    try {
      return tell(socket, request, path, body, told.reply, serial);
    } catch (const json::exception& bad) {  // a member of the body has a type that is wrong
      return send(socket, request, 400, error_of(path, "invalid_request_error", bad.what()));
    }
  }

  bool tell(tcp::socket& socket, const http_request& request, const std::string& path,
            const json& body, const json& reply, std::uint64_t serial) {
    if (reply.contains("status")) {
      return send(socket, request, reply["status"],
                  reply.value("error", error_of(path, "api_error", "scripted error")),
                  reply.value("retry_after", ""));
    }
    const json message = message_of(reply, body, request.body().size(), serial);
    if (!body.value("stream", false)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(reply.value("delay_ms", 0)));
      return send(socket, request, 200, answer_of(path, message));
    }
    return stream(socket, events_of(path, message, body), reply);
  }

  bool send(tcp::socket& socket, const http_request& request, unsigned status, const json& body,
            const std::string& retry_after = "") {
    http::response<http::string_body> response(static_cast<http::status>(status), 11);
    response.set(http::field::content_type, "application/json");
    response.set("x-germline-scripted", "1");
    if (!retry_after.empty()) response.set(http::field::retry_after, retry_after);
    response.keep_alive(request.keep_alive());
    response.body() = body.dump(-1, ' ', false, json::error_handler_t::replace);
    response.prepare_payload();
    boost::system::error_code failed;
    http::write(socket, response, failed);
    if (failed) ++clients_gone_;
    return !failed && response.keep_alive();
  }

  bool stream(tcp::socket& socket, const std::vector<std::string>& events, const json& reply) {
    http::response<http::empty_body> head(http::status::ok, 11);
    head.set(http::field::content_type, "text/event-stream; charset=utf-8");
    head.set("x-germline-scripted", "1");
    head.chunked(true);
    boost::system::error_code failed;
    http::response_serializer<http::empty_body> serializer(head);
    http::write_header(socket, serializer, failed);
    const std::size_t cut_after = reply.value("cut_after_events", events.size() + 1);
    const std::chrono::milliseconds pause(reply.value("event_delay_ms", 0));
    for (std::size_t i = 0; i < events.size() && !failed; ++i) {
      if (i == cut_after) return false;  // closes the connection in the middle
      asio::write(socket, http::make_chunk(asio::buffer(events[i])), failed);
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
    }
    if (!failed) asio::write(socket, http::make_chunk_last(), failed);
    if (failed) ++clients_gone_;
    return !failed;
  }

  void keep(const http_request& request, std::uint64_t serial) {
    if (options_.bodies_directory.empty()) return;
    const std::string base = options_.bodies_directory + "/" + std::to_string(serial);
    std::ofstream(base + ".body", std::ios::binary) << request.body();
    std::ofstream(base + ".head") << request.base();
  }

  options options_;
  asio::io_context context_;
  tcp::acceptor acceptor_;
  std::mutex mutex_;
  story story_;
  std::uint64_t requests_ = 0;
  std::atomic<int> clients_gone_{0};
};

result<options> read_options(int argc, char** argv) {
  options read;
  const error usage(error_code::invalid_argument,
                    "usage: germline-scripted-upstream --listen 127.0.0.1:PORT --story FILE "
                    "[--report FILE] [--bodies DIRECTORY]");
  bool listens = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    unsigned port = 0;
    if (value.empty()) return usage;
    if (name == "--listen" && std::sscanf(value.c_str(), "127.0.0.1:%5u", &port) == 1 &&
        port <= 65535) {
      read.port = static_cast<unsigned short>(port);
      listens = true;
    } else if (name == "--story") {
      read.story_file = value;
    } else if (name == "--report") {
      read.report_file = value;
    } else if (name == "--bodies") {
      read.bodies_directory = value;
    } else {
      return usage;
    }
  }
  if (argc % 2 == 0 || !listens || read.story_file.empty()) return usage;
  return read;
}

result<int> run(int argc, char** argv) {
  GERMLINE_TRY_ASSIGN(auto given, read_options(argc, argv));
  if (!given.report_file.empty()) GERMLINE_TRY(check_report_file(given.report_file));
  if (!given.bodies_directory.empty()) GERMLINE_TRY(check_bodies_directory(given.bodies_directory));
  std::ifstream file(given.story_file);
  if (!file) return error(error_code::not_found, "cannot read the story " + given.story_file);
  std::ostringstream text;
  text << file.rdbuf();
  auto told = story::parse(text.str());
  if (!told) return told.error().within(given.story_file);
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  server provider(std::move(given), std::move(*told));
  std::thread([&provider] { provider.serve(); }).detach();
  std::printf("%u\n", provider.port());
  std::fflush(stdout);
  int received = 0;
  ::sigwait(&ending, &received);
  ::_exit(provider.report() ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto ran = run(argc, argv);
    std::fprintf(stderr, "germline-scripted-upstream: %s\n", ran.error().message().c_str());
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "germline-scripted-upstream: %s\n", failure.what());
  }
  return 2;
}
