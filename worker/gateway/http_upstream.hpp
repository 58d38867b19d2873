// http_upstream: a provider over HTTP: sends requests with libcurl's multi interface, driven by the
// gateway's io_context, and hands answers on as they arrive. Holds the API key. Each call sends its
// request at most once. What a request costs beside its bytes is kept small: sockets stay with the
// io_context as long as libcurl has them, and libcurl's handles serve one call after another.
// Everything here runs on the io_context's one thread. Sinks are called from within libcurl.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <curl/curl.h>

#include "common/result.hpp"
#include "worker/gateway/config.hpp"
#include "worker/gateway/loop_types.hpp"
#include "worker/gateway/upstream.hpp"

namespace germline::worker {

class http_upstream final : public upstream {
 public:
  /// `key` may be empty (an upstream on loopback). `target` and `config` must outlive this.
  static result<std::unique_ptr<upstream>> make(boost::asio::io_context& context,
                                                const upstream_config& target,
                                                const gateway_config& config, std::string key);
  ~http_upstream() override;

  std::unique_ptr<call> send(upstream_request request, upstream_sink& sink) override;

 private:
  class http_call;
  struct watched {
    loop_descriptor descriptor;
    std::uint64_t serial = 0;
    /// Of one that on_open made; else 0. on_close tells its end, but for that of a connection which
    /// never came about: then another socket may have the number.
    ino_t inode = 0;
    int wanted = 0;
    bool reading = false;
    bool writing = false;
  };

  http_upstream(boost::asio::io_context& context, const upstream_config& target,
                const gateway_config& config, std::string key);
  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int on_close(void* self, curl_socket_t socket);
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* ignored);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  watched* take_socket(curl_socket_t socket, ino_t inode);
  void forget_socket(curl_socket_t socket);
  void watch(curl_socket_t socket, int what);
  void arm(curl_socket_t socket);
  void arm_one(curl_socket_t socket, bool reading);
  void drive(curl_socket_t socket, int events);
  void run_timer_in(long timeout_ms);
  void collect_ended();
  /// `path` at this upstream, as libcurl keeps it: read once, not for each request.
  CURLU* url_of(const std::string& path);
  CURL* take_handle();
  void give_back_handle(CURL* easy);

  boost::asio::io_context& context_;
  const upstream_config& target_;
  const gateway_config& config_;
  std::string key_;
  CURLM* multi_ = nullptr;
  std::map<std::string, CURLU*> urls_;  // by path: those of the dialects' routes
  std::vector<CURL*> spare_;  // handles that no call has, with what all calls have in common
  bool driving_ = false;
  bool is_due_ = false;  // libcurl's timer, while driving
  loop_timer timer_;
  std::map<curl_socket_t, watched> sockets_;
  std::uint64_t next_serial_ = 1;
};

class http_upstream::http_call final : public upstream::call {
 public:
  ~http_call() override;
  http_call(const http_call&) = delete;
  http_call& operator=(const http_call&) = delete;
  void resume() override;

 private:
  friend class http_upstream;
  http_call(http_upstream& owner, upstream_request request, upstream_sink& sink);
  void set_up();
  static int on_request(void* self, char*, char*, int, int);
  static std::size_t on_header(char* bytes, std::size_t one, std::size_t size, void* self);
  static std::size_t on_write(char* bytes, std::size_t one, std::size_t size, void* self);
  void take_header(std::string_view line);
  bool began() const;
  void forget_body();
  void watch_silence();
  void ended(CURLcode code);

  http_upstream& owner_;
  upstream_request request_;
  upstream_sink& sink_;
  CURL* easy_ = nullptr;
  curl_slist* header_list_ = nullptr;
  bool active_ = false;
  upstream_head head_;
  bool has_head_ = false;
  std::size_t header_bytes_ = 0;
  loop_timer silence_;
  const std::shared_ptr<int> here_ = std::make_shared<int>();     // while this lives
  loop_timer::time_point heard_ = loop_timer::clock_type::now();  // or known to go on
  curl_off_t sent_ = 0;                                           // of the body, by then
  int queued_ = 0;                                                // of it, with the kernel
  curl_socket_t socket_ = CURL_SOCKET_BAD;  // the last one that libcurl told of
  bool paused_ = false;                     // by the sink
};

}  // namespace germline::worker
