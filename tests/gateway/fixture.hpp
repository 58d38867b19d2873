// fixture: a scripted provider, the real gateway process in front of it, and a raw HTTP client, for
// the tests of the gateway. Owns its processes and a scratch folder. One thread at a time.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "worker/gateway/client.hpp"

namespace germline::tests {

inline const std::string test_key = "sk-ant-test-key-that-must-not-leak-0123456789";
inline const std::string test_token = "token-of-this-attempt-0123456789";
inline const std::string attempt_name = "att_0190f3c2a1b27c3d8e4f5a6b7c8d9e0f";

std::string read_file(const std::string& path);

/// One blocking connection that speaks raw bytes.
class raw_client {
 public:
  explicit raw_client(unsigned port);
  void send(const std::string& bytes);
  /// Reads until `part` is there, the connection ends, or `timeout_ms` is over.
  bool read_until(const std::string& part, int timeout_ms = 5000);
  /// Milliseconds until the other end closed; -1 when it did not.
  std::int64_t wait_closed(int timeout_ms);
  const std::string& received() const { return received_; }
  void close() { socket_.reset(); }
  /// Nothing more will be sent.
  void end_sending();
  /// Waits for bytes and takes what is there. False: none came, or the connection ended.
  bool read_some(int timeout_ms);
  /// Whether the end was read.
  bool is_closed() const { return closed_; }

 private:
  unique_fd socket_;
  std::string received_;
  bool closed_ = false;
};

struct http_answer {
  int status = 0;
  std::string head;
  std::string body;
};

/// How the gateway reaches the provider.
enum class transport {
  plain,           // HTTP on loopback
  tls,             // HTTPS, by an authority that the gateway trusts
  tls_stranger,    // HTTPS, by one that it does not
  tls_other_name,  // HTTPS, with a certificate for another host
};

class gateway_fixture {
 public:
  /// `more_config` is put at the end of the gateway's configuration.
  explicit gateway_fixture(const nlohmann::json& story, const std::string& more_config = "",
                           transport by = transport::plain);
  /// Before an upstream on that port of loopback; `upstream_lines` are put in [upstream].
  gateway_fixture(unsigned upstream_port, const std::string& upstream_lines);
  /// Before several: `upstreams` are tables [[upstream]].
  gateway_fixture(const std::string& upstreams, std::vector<worker::gateway_key> keys);
  ~gateway_fixture();

  /// Opens the attempt; its door is on port().
  void open(worker::gateway_limits limits, std::int64_t lives_ms = 60'000);
  /// The same, which may be refused.
  result<void> try_open(worker::gateway_limits limits, std::int64_t lives_ms = 60'000);
  /// The same with the model "scripted-free", whose tokens cost nothing.
  void open_free(worker::gateway_limits limits);
  /// The same of an attempt by that name, which does again what another did.
  result<void> open_again(const std::string& attempt, worker::gateway_limits limits,
                          const worker::replay_wish& wish);
  unsigned port() const { return port_; }
  worker::gateway_client& client() { return *client_; }
  const std::string& folder() const { return folder_; }

  /// A request as an agent sends it, with `headers` (each ending in \r\n) put in.
  static std::string request(const std::string& body, const std::string& headers = "",
                             const std::string& path = "/v1/messages");
  /// Sends and reads one whole answer (with a length, or chunked).
  http_answer ask(const std::string& bytes);
  http_answer post(const std::string& body) { return ask(request(body)); }

  /// Ends the provider and returns its report.
  nlohmann::json provider_report();
  /// Each line whole, as it is exported.
  std::string transcript() const;
  std::string transcript_file() const;
  std::vector<std::string> events();
  /// Of each request that was accounted for why it failed; empty where it did not.
  std::vector<std::string> problems();
  /// As told last.
  worker::gateway_usage usage();
  /// What was spoken with the HTTPS server, a line a request: "HTTP/2".
  std::string spoken() const { return read_file(folder_ + "/tls/spoken"); }
  std::string gateway_log() const { return read_file(folder_ + "/log"); }
  bool gateway_is_gone(int timeout_ms);
  /// Destroys the client, which ends the control socket.
  void drop_client() { client_.reset(); }

 private:
  worker::gateway_open make_door(worker::gateway_limits limits, std::int64_t lives_ms);
  void start_provider(const nlohmann::json& story);
  void start_tls_front(transport by);
  void start_gateway(const std::string& more_config);

  std::string folder_ = "/tmp/gateway_test.XXXXXX";
  system_clock_source time_;
  pid_t provider_ = -1;
  pid_t tls_front_ = -1;
  unsigned provider_port_ = 0;
  std::string upstream_;  // [upstream] and its lines, or several
  std::vector<worker::gateway_key> keys_ = {{"", test_key}};
  unsigned port_ = 0;
  std::mutex mutex_;
  std::vector<std::string> events_;
  std::vector<std::string> problems_;
  worker::gateway_usage usage_;
  bool gone_ = false;
  std::condition_variable changed_;
  std::unique_ptr<worker::gateway_client> client_;
};

/// A small good request.
std::string small_body(bool stream, int max_tokens = 100);

}  // namespace germline::tests
