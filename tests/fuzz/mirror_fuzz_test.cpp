// Feeds the real mirror's front with hostile bytes, before an upstream that answers with hostile
// bytes. A case passes when each request is answered in good HTTP or the connection is closed, when
// the upstream gets nothing but GET and HEAD of paths that are allowed and that a strict parser
// sees in what was sent, with no word of a client's own, and when the mirror lives on.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/fuzz/fuzzing.hpp"
#include "tests/fuzz/hostile_answers.hpp"
#include "tests/fuzz/hostile_client.hpp"
#include "tests/fuzz/hostile_http.hpp"
#include "tests/fuzz/strict_http.hpp"
#include "tests/support/temp_dir.hpp"
#include "worker/mirror/client.hpp"

using namespace germline;
using namespace germline::tests;
using namespace germline::worker;

namespace {

constexpr uid_t mirror_uid = 61'236;
const std::string fetch_name = "att_fuzzed";

std::string taken_off(const std::string& path, const std::string& front) {
  return path.starts_with(front + "/") ? path.substr(front.size()) : path;
}

/// One part of a path as npm has it.
bool is_name(std::string_view part) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '~'; };
  return !part.empty() && plain(part[0]) && std::ranges::all_of(part, [&](char c) {
    return plain(c) || std::string_view("._-+").find(c) != std::string_view::npos;
  });
}

/// What npm asks for, said otherwise than by the mirror's expressions.
bool is_of_npm(std::string path) {
  std::vector<std::string> parts;
  for (std::size_t at = path.find('%'); at != path.npos; at = path.find('%', at + 1)) {
    const auto code = path.substr(at, 3);
    if (code != "%2f" && code != "%2F") return false;
    path.replace(at, 3, "/");
  }
  if (!path.starts_with('/')) return false;
  for (std::size_t at = 1; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  if (!parts.empty() && parts[0].starts_with('@')) {
    if (!is_name(parts[0].substr(1))) return false;
    parts.erase(parts.begin());
  }
  if (parts.size() == 1) return is_name(parts[0]);
  return parts.size() == 3 && is_name(parts[0]) && parts[1] == "-" && is_name(parts[2]) &&
         parts[2].ends_with(".tgz");
}

bool is_of_files(const std::string& path) {
  const std::string front = "/base/plain/", back = ".txt";
  return path.starts_with(front) && path.ends_with(back) &&
         path.size() > front.size() + back.size() &&
         std::all_of(path.begin() + static_cast<std::ptrdiff_t>(front.size()),
                     path.end() - static_cast<std::ptrdiff_t>(back.size()),
                     [](char c) { return c >= 'a' && c <= 'z'; });
}

/// Which paths upstream a request may come to.
std::vector<std::string> paths_of(const strict_request& one) {
  const bool has_body = !field_of(one.fields, "transfer-encoding").empty() || !one.body.empty();
  if ((one.method != "GET" && one.method != "HEAD") || has_body) return {};
  return {one.target, taken_off(one.target, "/npm"),
          "/base" + taken_off(taken_off(one.target, "/files"), "/base")};
}

void check_answer(const strict_answer& one) {
  CAPTURE(one.body);
  REQUIRE(one.status >= 200);
  const bool is_of_upstream = one.body.empty() || one.body[0] != '{';
  if (one.status < 400 || is_of_upstream) return;
  const auto told = nlohmann::json::parse(one.body, nullptr, false);
  REQUIRE(told.is_object());
  REQUIRE(told["error"].is_string());
}

class fuzzed_mirror {
 public:
  fuzzed_mirror(std::size_t rounds, random_source& random)
      : upstream_(hostile_answers(rounds * 8, random)) {
    const auto url = "http://127.0.0.1:" + std::to_string(upstream_.port());
    mirror_spec spec;
    spec.binary = MIRROR_BINARY;
    spec.mirrors = {{"npm", url, npm_paths(), {}, {}},
                    {"files", url + "/base", {R"(/plain/[a-z]+\.txt)"}, {}, {}}};
    if (::geteuid() == 0) spec.uid = spec.gid = mirror_uid;
    // It inherits standard error.
    const unique_fd log(
        ::open(log_file().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const unique_fd saved(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10));
    ::dup2(log.get(), STDERR_FILENO);
    auto started = mirror_client::start(spec);
    ::dup2(saved.get(), STDERR_FILENO);
    REQUIRE_MESSAGE(started, read_file(log_file()));
    client_ = std::move(*started);
    open();
  }

  void round(const std::string& mark, random_source& random) {
    auto bytes = hostile_fetches(mark, random);
    const auto ending = random.below(8);
    if (ending < 2) bytes.resize(random.below(bytes.size() + 1));
    sent_ += bytes + "\n----\n";
    for (const auto& one : read_requests(bytes).whole) {
      for (auto& path : paths_of(one)) may_be_.insert(std::move(path));
    }
    hostile_client client(port_, bytes);
    client.send(random);
    if (ending == 2) return client.hang_up();
    client.take_answers(
        [this](const strict_answer& one) {
          check_answer(one);
          if (one.status == 200) ++taken_;
        },
        true);
  }

  /// It answers, and what it was asked so far upstream was asked as it may be.
  void check() {
    raw_client client(port_);
    client.send("GET /files/none HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(client.read_until("}\n"));
    REQUIRE(client.received().starts_with("HTTP/1.1 403 "));
    const auto all = upstream_.requests();
    for (; checked_ < all.size(); ++checked_) {
      const auto& one = all[checked_];
      CAPTURE(one.head);
      CAPTURE(sent_);
      const auto read = read_requests(one.head);
      REQUIRE_FALSE(read.rest);
      REQUIRE(read.whole.size() == 1);
      const auto& asked = read.whole[0];
      REQUIRE((asked.method == "GET" || asked.method == "HEAD"));
      if (asked.target != "/moved") {
        REQUIRE((is_of_npm(asked.target) || is_of_files(asked.target)));
        REQUIRE(may_be_.contains(asked.target));
      }
      static const std::set<std::string> names = {"host", "user-agent", "accept",
                                                  "accept-encoding"};
      for (const auto& [name, value] : asked.fields) REQUIRE(names.contains(name));
      REQUIRE(one.head.find("secret") == one.head.npos);
    }
    sent_.clear();
  }

  void check_end(std::size_t rounds) {
    const auto account = client_->close(fetch_name);
    REQUIRE(account);
    CHECK(account->requests > 0);
    // A third and a fifth of the rounds, usually: else hardly anything came through to be judged.
    CHECK(checked_ >= rounds / 10);
    CHECK(taken_ >= rounds / 20);
    const auto log = read_file(log_file());
    for (const char* bad : {"exception", "Sanitizer", "runtime error", "assert"}) {
      CHECK_MESSAGE(log.find(bad) == log.npos, log);
    }
  }

 private:
  std::string log_file() const { return folder_.path() + "/log"; }

  void open() {
    unique_fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener.get(), plain, size) == 0);
    REQUIRE(::listen(listener.get(), 64) == 0);
    REQUIRE(::getsockname(listener.get(), plain, &size) == 0);
    port_ = ntohs(address.sin_port);
    mirror_grant grant{fetch_name, {"npm", "files"}, {}, time_.boot_ms() + 3'600'000};
    grant.limits.requests = grant.limits.bytes = INT64_MAX / 2;
    grant.limits.connections = 200;
    grant.limits.silence_ms = grant.limits.connect_ms = 2'000;
    REQUIRE(client_->open(std::move(grant), std::move(listener)));
  }

  temp_dir folder_;
  system_clock_source time_;
  canned_upstream upstream_;
  std::unique_ptr<mirror_client> client_;
  unsigned port_ = 0;
  std::set<std::string> may_be_;
  std::string sent_;         // since the last check
  std::size_t checked_ = 0;  // requests
  std::size_t taken_ = 0;    // answers of status 200, which are the upstream's alone
};

}  // namespace

TEST_CASE("the mirror's front bears any bytes, of clients and of mirrors") {
  seeded_random random(fuzz_seed());
  const auto rounds = fuzz_rounds(400);
  fuzzed_mirror mirror(rounds, random);
  for (std::size_t i = 0; i < rounds; ++i) {
    INFO("random_seed " << fuzz_seed() << ", round " << i);
    mirror.round("r" + std::to_string(i), random);
    if (i % 20 == 0) mirror.check();
  }
  mirror.check();
  mirror.check_end(rounds);
}
