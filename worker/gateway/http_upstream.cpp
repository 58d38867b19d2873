#include "worker/gateway/http_upstream.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "common/assert.hpp"

namespace germline::worker {
namespace {

constexpr long max_upstream_connections = 1024;
constexpr long upload_buffer_bytes = 16 * 1024;
constexpr std::size_t max_header_bytes = 64 * 1024;

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

}  // namespace

result<std::unique_ptr<upstream>> http_upstream::make(boost::asio::io_context& context,
                                                      const upstream_config& target,
                                                      const gateway_config& config,
                                                      std::string key) {
  if (::curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return error(error_code::internal, "libcurl does not start");
  }
  for (const char c : key) {
    if (c <= ' ' || c > '~') {
      return error(error_code::invalid_argument,
                   "the API key of '" + target.name + "' has a character that no key has");
    }
  }
  auto made =
      std::unique_ptr<http_upstream>(new http_upstream(context, target, config, std::move(key)));
  if (!made->multi_) return error(error_code::internal, "libcurl does not start");
  return std::unique_ptr<upstream>(std::move(made));
}

http_upstream::http_upstream(boost::asio::io_context& context, const upstream_config& target,
                             const gateway_config& config, std::string key)
    : context_(context),
      target_(target),
      config_(config),
      key_(std::move(key)),
      multi_(::curl_multi_init()),
      timer_(context) {
  if (!multi_) return;
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &http_upstream::on_socket);
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &http_upstream::on_timer);
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  ::curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, max_upstream_connections);
}

http_upstream::~http_upstream() {
  if (multi_) ::curl_multi_cleanup(multi_);
  for (auto& [socket, entry] : sockets_) entry.descriptor.release();  // libcurl's to close
  ::explicit_bzero(key_.data(), key_.size());
}

std::unique_ptr<upstream::call> http_upstream::send(upstream_request request, upstream_sink& sink) {
  return std::unique_ptr<call>(new http_call(*this, std::move(request), sink));
}

int http_upstream::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  static_cast<http_upstream*>(self)->watch(socket, what);
  return 0;
}

int http_upstream::on_timer(CURLM*, long timeout_ms, void* self) {
  auto& owner = *static_cast<http_upstream*>(self);
  owner.timer_.cancel();
  if (timeout_ms < 0) return 0;
  owner.timer_.expires_after(std::chrono::milliseconds(timeout_ms));
  owner.timer_.async_wait([&owner](boost::system::error_code failed) {
    if (!failed) owner.drive(CURL_SOCKET_TIMEOUT, 0);
  });
  return 0;
}

void http_upstream::watch(curl_socket_t socket, int what) {
  auto found = sockets_.find(socket);
  if (what == CURL_POLL_REMOVE) {
    if (found == sockets_.end()) return;
    found->second.descriptor.release();  // libcurl closes it
    sockets_.erase(found);
    return;
  }
  if (found == sockets_.end()) {
    watched entry{boost::asio::posix::stream_descriptor(context_), next_serial_++};
    boost::system::error_code failed;
    entry.descriptor.assign(socket, failed);
    if (failed) return;  // the call ends by its timeout
    found = sockets_.emplace(socket, std::move(entry)).first;
  }
  found->second.wanted = what;
  arm(socket);
}

void http_upstream::arm(curl_socket_t socket) {
  auto& entry = sockets_.at(socket);
  if ((entry.wanted & CURL_POLL_IN) != 0 && !entry.reading) arm_one(socket, true);
  if ((entry.wanted & CURL_POLL_OUT) != 0 && !entry.writing) arm_one(socket, false);
}

void http_upstream::arm_one(curl_socket_t socket, bool reading) {
  using descriptor = boost::asio::posix::stream_descriptor;
  auto& entry = sockets_.at(socket);
  (reading ? entry.reading : entry.writing) = true;
  entry.descriptor.async_wait(
      reading ? descriptor::wait_read : descriptor::wait_write,
      [this, socket, reading, serial = entry.serial](boost::system::error_code failed) {
        if (failed == boost::asio::error::operation_aborted) return;
        // A ready event may have been queued before libcurl gave the socket up.
        const auto current = sockets_.find(socket);
        if (current == sockets_.end() || current->second.serial != serial) return;
        (reading ? current->second.reading : current->second.writing) = false;
        const int wanted = reading ? CURL_POLL_IN : CURL_POLL_OUT;
        if ((current->second.wanted & wanted) == 0) return;  // no longer asked for
        drive(socket, failed ? CURL_CSELECT_ERR : reading ? CURL_CSELECT_IN : CURL_CSELECT_OUT);
        const auto after = sockets_.find(socket);
        if (after != sockets_.end() && after->second.serial == serial) arm(socket);
      });
}

void http_upstream::drive(curl_socket_t socket, int events) {
  int running = 0;
  ::curl_multi_socket_action(multi_, socket, events, &running);
  collect_ended();
}

void http_upstream::collect_ended() {
  int left = 0;
  while (CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    http_call* ended = nullptr;
    ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &ended);
    GERMLINE_ASSERT(ended != nullptr);
    ended->ended(message->data.result);
  }
}

http_upstream::http_call::http_call(http_upstream& owner, upstream_request request,
                                    upstream_sink& sink)
    : owner_(owner),
      request_(std::move(request)),
      sink_(sink),
      url_(owner.target_.url + request_.path),
      easy_(::curl_easy_init()) {
  GERMLINE_ASSERT(easy_ != nullptr);
  set_up();
  active_ = ::curl_multi_add_handle(owner_.multi_, easy_) == CURLM_OK;
  GERMLINE_ASSERT(active_);
}

void http_upstream::http_call::set_up() {
  const auto& config = owner_.config_;
  const auto& target = owner_.target_;
  const auto add = [&](const std::string& line) {
    header_list_ = ::curl_slist_append(header_list_, line.c_str());
  };
  add("content-type: application/json");
  add("expect:");  // libcurl would wait a second for leave to send a long body
  for (const auto& line : request_.headers) add(line);
  if (!owner_.key_.empty()) {
    std::string line =
        (target.auth == "bearer" ? "authorization: Bearer " : "x-api-key: ") + owner_.key_;
    add(line);
    ::explicit_bzero(line.data(), line.size());
  }
  ::curl_easy_setopt(easy_, CURLOPT_PRIVATE, this);
  ::curl_easy_setopt(easy_, CURLOPT_URL, url_.c_str());
  ::curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");  // config.cpp judged the URL
  ::curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(easy_, CURLOPT_PROXY, "");  // none, whatever the environment says
  ::curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!target.ca_file.empty()) {
    ::curl_easy_setopt(easy_, CURLOPT_CAINFO, target.ca_file.c_str());
    ::curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  }
  ::curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
  ::curl_easy_setopt(easy_, CURLOPT_USERAGENT, "germline-gateway");
  ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_);
  ::curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  // From a callback that cannot go back, not from memory: libcurl would send the body a second
  // time, unasked, where a connection that it used before is lost without an answer. (It connects
  // anew even so, and then finds that it has nothing to send.)
  ::curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &http_call::on_read);
  ::curl_easy_setopt(easy_, CURLOPT_READDATA, this);
  ::curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION, &http_call::on_seek);
  ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body->size()));
  // Kept as long as the answer lasts: of many streams that is much.
  ::curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer_bytes);
  ::curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config.connect_ms));
  ::curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(config.total_ms));
  ::curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(std::max<std::int64_t>(1, config.silence_ms / 1000)));
  ::curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &http_call::on_header);
  ::curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &http_call::on_write);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
}

http_upstream::http_call::~http_call() {
  if (active_) ::curl_multi_remove_handle(owner_.multi_, easy_);
  ::curl_easy_cleanup(easy_);
  ::curl_slist_free_all(header_list_);
}

void http_upstream::http_call::resume() {
  if (!active_) return;
  ::curl_easy_pause(easy_, CURLPAUSE_CONT);
  owner_.collect_ended();
}

std::size_t http_upstream::http_call::on_header(char* bytes, std::size_t, std::size_t size,
                                                void* self) {
  auto& me = *static_cast<http_call*>(self);
  me.header_bytes_ += size;
  if (me.header_bytes_ > max_header_bytes) return 0;  // ends the call
  me.take_header({bytes, size});
  return size;
}

void http_upstream::http_call::take_header(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {
    head_ = {};
    const auto space = line.find(' ');
    if (space != line.npos) {
      const auto code = line.substr(space + 1, 3);
      std::from_chars(code.data(), code.data() + code.size(), head_.status);
    }
    return;
  }
  if (line.empty()) {
    if (head_.status >= 200) sink_.on_head(std::move(head_));  // 1xx heads are not the answer's
    head_ = {};
    return;
  }
  const auto colon = line.find(':');
  if (colon == line.npos) return;
  auto value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  head_.headers.emplace_back(lower_case(line.substr(0, colon)), std::string(value));
}

std::size_t http_upstream::http_call::on_read(char* into, std::size_t one, std::size_t size,
                                              void* self) {
  auto& me = *static_cast<http_call*>(self);
  if (!me.request_.body) return CURL_READFUNC_ABORT;  // asked for it anew
  const std::string& body = *me.request_.body;
  const auto now = std::min(one * size, body.size() - me.taken_);
  std::memcpy(into, body.data() + me.taken_, now);
  me.taken_ += now;
  if (me.taken_ == body.size()) me.request_.body.reset();
  return now;
}

int http_upstream::http_call::on_seek(void*, curl_off_t, int) {
  return CURL_SEEKFUNC_FAIL;
}

std::size_t http_upstream::http_call::on_write(char* bytes, std::size_t, std::size_t size,
                                               void* self) {
  return static_cast<http_call*>(self)->sink_.on_data({bytes, size}) ? size : CURL_WRITEFUNC_PAUSE;
}

void http_upstream::http_call::ended(CURLcode code) {
  ::curl_multi_remove_handle(owner_.multi_, easy_);
  active_ = false;
  auto how = upstream_end::cut;
  if (code == CURLE_OK) {
    how = upstream_end::complete;
  } else if (taken_ == 0) {
    how = upstream_end::not_sent;
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    how = upstream_end::timed_out;
  }
  const bool sent_anew = code == CURLE_SEND_FAIL_REWIND || code == CURLE_ABORTED_BY_CALLBACK;
  sink_.on_end(how, sent_anew ? "the connection was lost before an answer came"
                              : ::curl_easy_strerror(code));
}

}  // namespace germline::worker
