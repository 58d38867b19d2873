// upstream: sends requests to one provider with libcurl's multi interface, driven by the gateway's
// io_context, and hands answers on as they arrive. Holds the API key. It neither retries nor
// judges: that is the session's work. Each call sends its body at most once.
// Everything here runs on the io_context's one thread. Sinks are called from within libcurl: they
// take note and return; they must not start, resume or destroy a call.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <curl/curl.h>

#include "common/result.hpp"
#include "worker/gateway/config.hpp"

namespace germline::worker {

struct upstream_request {
  std::string path;  // "/v1/messages", with its query
  std::shared_ptr<const std::string> body;
  std::vector<std::string> headers;  // "name: value", without authentication
};

struct upstream_head {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  /// Empty when it is not there.
  std::string_view header(std::string_view lower_case_name) const;
};

enum class upstream_end {
  complete,
  not_sent,   // no connection: nothing was asked, nothing can be billed
  cut,        // it broke after the request was sent
  timed_out,  // silence, or too long in all, after the request was sent
};

class upstream_sink {
 public:
  virtual ~upstream_sink() = default;
  virtual void on_head(upstream_head head) = 0;
  /// False: it was not taken; it comes again after resume().
  virtual bool on_data(std::string_view bytes) = 0;
  virtual void on_end(upstream_end how, std::string_view why) = 0;
};

class upstream {
 public:
  /// One request under way. Destroying it cancels it at once; then its sink hears nothing more.
  class call;

  /// `key` may be empty (an upstream on loopback). `target` and `config` must outlive this.
  static result<std::unique_ptr<upstream>> make(boost::asio::io_context& context,
                                                const upstream_config& target,
                                                const gateway_config& config, std::string key);
  ~upstream();

  /// `sink` must outlive the call; the call must not outlive this.
  std::unique_ptr<call> send(upstream_request request, upstream_sink& sink);

 private:
  friend class call;
  struct watched {
    boost::asio::posix::stream_descriptor descriptor;
    std::uint64_t serial = 0;
    int wanted = 0;
    bool reading = false;
    bool writing = false;
  };

  upstream(boost::asio::io_context& context, const upstream_config& target,
           const gateway_config& config, std::string key);
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void* ignored);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void watch(curl_socket_t socket, int what);
  void arm(curl_socket_t socket);
  void arm_one(curl_socket_t socket, bool reading);
  void drive(curl_socket_t socket, int events);
  void collect_ended();

  boost::asio::io_context& context_;
  const upstream_config& target_;
  const gateway_config& config_;
  std::string key_;
  CURLM* multi_ = nullptr;
  boost::asio::steady_timer timer_;
  std::map<curl_socket_t, watched> sockets_;
  std::uint64_t next_serial_ = 1;
};

class upstream::call {
 public:
  ~call();
  call(const call&) = delete;
  call& operator=(const call&) = delete;
  /// After on_data answered false.
  void resume();

 private:
  friend class upstream;
  call(upstream& owner, upstream_request request, upstream_sink& sink);
  void set_up();
  static std::size_t on_header(char* bytes, std::size_t one, std::size_t size, void* self);
  static std::size_t on_read(char* into, std::size_t one, std::size_t size, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static std::size_t on_write(char* bytes, std::size_t one, std::size_t size, void* self);
  void take_header(std::string_view line);
  void ended(CURLcode code);

  upstream& owner_;
  upstream_request request_;
  upstream_sink& sink_;
  std::string url_;
  CURL* easy_ = nullptr;
  curl_slist* header_list_ = nullptr;
  bool active_ = false;
  std::size_t taken_ = 0;  // of the body, by libcurl
  upstream_head head_;
  std::size_t header_bytes_ = 0;
};

}  // namespace germline::worker
