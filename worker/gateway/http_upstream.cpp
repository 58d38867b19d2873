#include "worker/gateway/http_upstream.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/assert.hpp"

namespace germline::worker {
namespace {

constexpr long max_upstream_connections = 1024;
constexpr long upload_buffer_bytes = 16 * 1024;
constexpr std::size_t max_header_bytes = 64 * 1024;
constexpr std::size_t max_spare_handles = 16;
constexpr int max_turns = 16;  // of libcurl at a time, before others have theirs

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

/// What the kernel has of what was sent, and the other end has not taken.
int queued_bytes(curl_socket_t socket) {
  int bytes = 0;
  return socket != CURL_SOCKET_BAD && ::ioctl(socket, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

const char* words_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:  // without a head
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return "what it answers is not HTTP";
    case CURLE_ABORTED_BY_CALLBACK:  // on_request
      return "the connection was lost before an answer came";
    case CURLE_OUT_OF_MEMORY:
      return "the head of its answer is too large, or memory is short";
    case CURLE_OPERATION_TIMEDOUT:
      return "it was silent, or took, for longer than is waited";
    default:
      return ::curl_easy_strerror(code);
  }
}

/// Of an open socket, no other has it; 0: it is not open.
ino_t inode_of(int socket) {
  struct stat status {};
  return ::fstat(socket, &status) == 0 ? status.st_ino : 0;
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
  for (CURL* easy : spare_) ::curl_easy_cleanup(easy);
  for (const auto& [path, url] : urls_) ::curl_url_cleanup(url);
  if (multi_) ::curl_multi_cleanup(multi_);
  for (auto& [socket, entry] : sockets_) entry.descriptor.release();  // libcurl's to close
  ::explicit_bzero(key_.data(), key_.size());
}

std::unique_ptr<upstream::call> http_upstream::send(upstream_request request, upstream_sink& sink) {
  driving_ = true;  // it goes out now, not a turn of the loop later
  std::unique_ptr<call> made(new http_call(*this, std::move(request), sink));
  drive(CURL_SOCKET_TIMEOUT, 0);
  return made;
}

int http_upstream::on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void*) {
  http_call* by = nullptr;
  ::curl_easy_getinfo(easy, CURLINFO_PRIVATE, &by);
  if (by && what != CURL_POLL_REMOVE) by->socket_ = socket;
  static_cast<http_upstream*>(self)->watch(socket, what);
  return 0;
}

curl_socket_t http_upstream::on_open(void* self, curlsocktype, curl_sockaddr* address) {
  const int socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (socket < 0) return CURL_SOCKET_BAD;
  if (static_cast<http_upstream*>(self)->take_socket(socket, inode_of(socket))) {
    return socket;
  }
  ::close(socket);
  return CURL_SOCKET_BAD;
}

int http_upstream::on_close(void* self, curl_socket_t socket) {
  static_cast<http_upstream*>(self)->forget_socket(socket);
  return ::close(socket);
}

int http_upstream::on_timer(CURLM*, long timeout_ms, void* self) {
  auto& owner = *static_cast<http_upstream*>(self);
  owner.is_due_ = owner.driving_ && timeout_ms == 0;
  if (owner.is_due_) {
    owner.timer_.cancel();
  } else {
    owner.run_timer_in(timeout_ms);
  }
  return 0;
}

void http_upstream::run_timer_in(long timeout_ms) {
  timer_.cancel();
  if (timeout_ms < 0) return;
  timer_.expires_after(std::chrono::milliseconds(timeout_ms));
  timer_.async_wait([this](boost::system::error_code failed) {
    if (!failed) drive(CURL_SOCKET_TIMEOUT, 0);
  });
}

http_upstream::watched* http_upstream::take_socket(curl_socket_t socket, ino_t inode) {
  forget_socket(socket);  // a number that was used before
  watched entry{loop_descriptor(context_), next_serial_++, inode};
  boost::system::error_code failed;
  entry.descriptor.assign(socket, failed);
  return failed ? nullptr : &sockets_.emplace(socket, std::move(entry)).first->second;
}

void http_upstream::forget_socket(curl_socket_t socket) {
  const auto found = sockets_.find(socket);
  if (found == sockets_.end()) return;
  found->second.descriptor.release();  // it is not closed here
  sockets_.erase(found);
}

void http_upstream::watch(curl_socket_t socket, int what) {
  const auto found = sockets_.find(socket);
  auto* entry = found == sockets_.end() ? nullptr : &found->second;
  if (what == CURL_POLL_REMOVE) {
    if (entry) entry->wanted = 0;
    if (entry && entry->inode == 0) forget_socket(socket);  // libcurl closes it unasked
    return;
  }
  const bool is_other = entry && entry->inode != 0 && entry->inode != inode_of(socket);
  if (!entry || is_other) entry = take_socket(socket, 0);
  if (!entry) return;  // the call ends by its timeout
  entry->wanted = what;
  arm(socket);
}

void http_upstream::arm(curl_socket_t socket) {
  auto& entry = sockets_.at(socket);
  if ((entry.wanted & CURL_POLL_IN) != 0 && !entry.reading) arm_one(socket, true);
  if ((entry.wanted & CURL_POLL_OUT) != 0 && !entry.writing) arm_one(socket, false);
}

void http_upstream::arm_one(curl_socket_t socket, bool reading) {
  auto& entry = sockets_.at(socket);
  (reading ? entry.reading : entry.writing) = true;
  entry.descriptor.async_wait(
      reading ? loop_descriptor::wait_read : loop_descriptor::wait_write,
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

// A timer that is due at once, of which each request has one or two, needs no clock.
void http_upstream::drive(curl_socket_t socket, int events) {
  int running = 0;
  driving_ = true;
  is_due_ = false;
  ::curl_multi_socket_action(multi_, socket, events, &running);
  for (int turn = 1; is_due_ && turn < max_turns; ++turn) {
    is_due_ = false;
    ::curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  driving_ = false;
  if (is_due_) run_timer_in(0);
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

CURLU* http_upstream::url_of(const std::string& path) {
  CURLU*& url = urls_[path];
  if (url) return url;
  url = ::curl_url();
  // config.cpp judged what stands before the path.
  const auto read = ::curl_url_set(url, CURLUPART_URL, (target_.url + path).c_str(), 0);
  GERMLINE_ASSERT(read == CURLUE_OK);
  return url;
}

CURL* http_upstream::take_handle() {
  if (!spare_.empty()) {
    CURL* const easy = spare_.back();
    spare_.pop_back();
    return easy;
  }
  CURL* const easy = ::curl_easy_init();
  GERMLINE_ASSERT(easy != nullptr);
  ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &http_upstream::on_open);
  ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &http_upstream::on_close);
  ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  ::curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");  // config.cpp judged the URL
  ::curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(easy, CURLOPT_PROXY, "");  // none, whatever the environment says
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  ::curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!target_.ca_file.empty()) {
    ::curl_easy_setopt(easy, CURLOPT_CAINFO, target_.ca_file.c_str());
    ::curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  ::curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
  ::curl_easy_setopt(easy, CURLOPT_USERAGENT, "germline-gateway");
  ::curl_easy_setopt(easy, CURLOPT_POST, 1L);
  // Kept as long as the answer lasts, where the body goes out in pieces: of many streams that is
  // much. A body below 64 KiB goes out in one with its head, where HTTP/1.1 is spoken.
  ::curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer_bytes);
  ::curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config_.connect_ms));
  ::curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(config_.total_ms));
  ::curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &http_call::on_request);
  ::curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &http_call::on_header);
  ::curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &http_call::on_write);
  return easy;
}

/// REQUIRES that it is not in `multi_`.
void http_upstream::give_back_handle(CURL* easy) {
  if (spare_.size() == max_spare_handles) return ::curl_easy_cleanup(easy);
  // What it points to is about to be gone, and the key with it.
  ::curl_easy_setopt(easy, CURLOPT_HTTPHEADER, nullptr);
  ::curl_easy_setopt(easy, CURLOPT_POSTFIELDS, nullptr);
  ::curl_easy_setopt(easy, CURLOPT_PRIVATE, nullptr);
  spare_.push_back(easy);
}

http_upstream::http_call::http_call(http_upstream& owner, upstream_request request,
                                    upstream_sink& sink)
    : owner_(owner),
      request_(std::move(request)),
      sink_(sink),
      easy_(owner.take_handle()),
      silence_(owner.context_) {
  set_up();
  watch_silence();
  active_ = ::curl_multi_add_handle(owner_.multi_, easy_) == CURLM_OK;
  GERMLINE_ASSERT(active_);
}

/// What is this call's own, all of it: the handle may have served another.
void http_upstream::http_call::set_up() {
  const auto add = [&](const std::string& line) {
    header_list_ = ::curl_slist_append(header_list_, line.c_str());
  };
  add("content-type: application/json");
  add("expect:");  // libcurl would wait a second for leave to send a long body
  for (const auto& line : request_.headers) add(line);
  if (!owner_.key_.empty()) {
    std::string line =
        (owner_.target_.auth == "bearer" ? "authorization: Bearer " : "x-api-key: ") + owner_.key_;
    add(line);
    ::explicit_bzero(line.data(), line.size());
  }
  ::curl_easy_setopt(easy_, CURLOPT_PRIVATE, this);
  ::curl_easy_setopt(easy_, CURLOPT_CURLU, owner_.url_of(request_.path));
  ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_);
  ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body->size()));
  ::curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body->data());  // not copied
  ::curl_easy_setopt(easy_, CURLOPT_PREREQDATA, this);
  ::curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
}

http_upstream::http_call::~http_call() {
  if (active_) ::curl_multi_remove_handle(owner_.multi_, easy_);
  owner_.give_back_handle(easy_);
  ::curl_slist_free_all(header_list_);
}

// Not by libcurl's low speed, which is a mean of five seconds and of whole ones.
void http_upstream::http_call::watch_silence() {
  using std::chrono::milliseconds;
  const milliseconds most(owner_.config_.silence_ms);
  auto wakes = heard_ + most;
  if (request_.body) {  // how much of it went out is not told, but may be asked
    wakes = std::min(wakes, loop_timer::clock_type::now() + std::max(milliseconds(1), most / 8));
  }
  silence_.expires_at(wakes);
  silence_.async_wait([this, here = std::weak_ptr(here_)](boost::system::error_code stopped) {
    if (stopped || here.expired() || !active_) return;
    const auto now = loop_timer::clock_type::now();
    curl_off_t sent = 0;
    ::curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &sent);
    const auto queued = queued_bytes(socket_);
    const bool is_sent = std::exchange(sent_, sent) != sent || queued < queued_;
    queued_ = queued;
    if (paused_ || is_sent) heard_ = now;
    if (now < heard_ + milliseconds(owner_.config_.silence_ms)) return watch_silence();
    ended(CURLE_OPERATION_TIMEDOUT);
  });
}

void http_upstream::http_call::resume() {
  if (!active_) return;
  paused_ = false;
  heard_ = loop_timer::clock_type::now();
  ::curl_easy_pause(easy_, CURLPAUSE_CONT);
  owner_.collect_ended();
}

// libcurl would send a request a second time, unasked, where a connection that it used before is
// lost without an answer.
int http_upstream::http_call::on_request(void* self, char*, char*, int, int) {
  return static_cast<http_call*>(self)->began() ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/// Whether anything of the request went out, on any connection.
bool http_upstream::http_call::began() const {
  long sent = 0;
  return ::curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &sent) != CURLE_OK || sent > 0;
}

/// Once all of it went out: of a stream that is only beginning, the body is not held.
void http_upstream::http_call::forget_body() {
  curl_off_t sent = 0;
  ::curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &sent);
  if (static_cast<std::size_t>(sent) == request_.body->size()) request_.body.reset();
}

std::size_t http_upstream::http_call::on_header(char* bytes, std::size_t, std::size_t size,
                                                void* self) {
  auto& me = *static_cast<http_call*>(self);
  me.heard_ = loop_timer::clock_type::now();
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
    const bool is_answers = head_.status >= 200;
    if (is_answers && request_.body) forget_body();  // events may be long in coming
    if (is_answers) {
      has_head_ = true;
      sink_.on_head(std::move(head_));
    }
    head_ = {};
    return;
  }
  const auto colon = line.find(':');
  if (colon == line.npos) return;
  auto value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  head_.headers.emplace_back(lower_case(line.substr(0, colon)), std::string(value));
}

std::size_t http_upstream::http_call::on_write(char* bytes, std::size_t, std::size_t size,
                                               void* self) {
  auto& me = *static_cast<http_call*>(self);
  if (me.request_.body) me.forget_body();
  me.heard_ = loop_timer::clock_type::now();
  me.paused_ = !me.sink_.on_data({bytes, size});
  return me.paused_ ? CURL_WRITEFUNC_PAUSE : size;
}

void http_upstream::http_call::ended(CURLcode code) {
  const bool sent = began();
  ::curl_multi_remove_handle(owner_.multi_, easy_);
  active_ = false;
  silence_.cancel();
  request_.body.reset();
  auto how = upstream_end::cut;
  if (code == CURLE_OK && has_head_) {
    how = upstream_end::complete;
  } else if (!sent) {
    how = upstream_end::not_sent;
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    how = upstream_end::timed_out;
  }
  sink_.on_end(how, words_of(code));
}

}  // namespace germline::worker
