#include "worker/mirror/session.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "worker/mirror/door.hpp"
#include "worker/mirror/download.hpp"

namespace germline::worker {
namespace {

namespace http = boost::beast::http;

constexpr std::uint32_t max_head_bytes = 16 * 1024;
constexpr std::int64_t client_head_ms = 30'000;
constexpr int look_every_ms = 50;  // whether the door was cut
constexpr int redirects_max = 5;
constexpr std::int64_t linger_ms = 5'000;
constexpr std::size_t header_value_max = 1'024;
// Of what a client accepts what stands here goes out, and nothing else of a request but its path:
// whatever it chose freely could carry words.
constexpr std::array<std::string_view, 7> types_out = {"application/vnd.npm.install-v1+json",
                                                       "application/vnd.pypi.simple.v1+json",
                                                       "application/json",
                                                       "application/octet-stream",
                                                       "text/html",
                                                       "text/plain",
                                                       "*/*"};
constexpr std::array<std::string_view, 4> codings_out = {"gzip", "deflate", "br", "identity"};
constexpr std::array<std::string_view, 5> headers_in = {"content-type", "content-encoding",
                                                        "content-length", "etag", "cache-control"};

bool is_plain_value(std::string_view value) {
  return value.size() <= header_value_max &&
         std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

/// Of a list those of `known` that it names, in the order of `known`.
std::string known_of(std::string_view list, std::span<const std::string_view> known) {
  std::string found;
  for (const auto one : known) {
    for (auto rest = list; !rest.empty();) {
      auto part = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(part.size() + 1, rest.size()));
      part = part.substr(0, part.find(';'));
      while (part.starts_with(' ')) part.remove_prefix(1);
      while (part.ends_with(' ')) part.remove_suffix(1);
      if (part != one) continue;
      found += (found.empty() ? "" : ", ") + std::string(one);
      break;
    }
  }
  return found;
}

bool is_redirect(unsigned status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Of a mirror that does not do its part now, and may later.
bool is_trouble(unsigned status) {
  return status >= 500 || status == 429 || status == 408;
}

class session final : public download_sink {
 public:
  session(door& owner, int socket)
      : owner_(owner),
        socket_(socket),
        upstream_(owner.settings().limits, [this] { return !owner_.alive() || client_is_gone(); }) {
  }

  void run() {
    while (serve_one()) {
    }
    if (!client_failed_) linger();
  }

  bool on_head(const download_head& head) override;
  bool on_data(std::string_view bytes) override;

 private:
  bool serve_one();
  bool read_head(http::request_parser<http::empty_body>& parser);
  bool forward(const mirror_route& route);
  bool refuse(unsigned status, const std::string& why);
  bool send(std::string_view bytes);
  void linger();
  bool wait(short events, std::int64_t longest_ms);
  bool client_is_gone() const;
  std::optional<std::string> why_not_followed(const mirror_config& mirror,
                                              const std::string& to) const;

  door& owner_;
  const int socket_;
  downloader upstream_;
  const system_clock_source time_;
  std::string unread_;
  // Of the present request.
  std::string target_;
  bool head_only_ = false;
  bool keep_alive_ = true;
  std::vector<std::string> headers_;
  unsigned status_ = 0;                     // of the mirror's answer; 0: none came
  bool begun_ = false;                      // the client has the head of the answer
  bool chunked_ = false;                    // its body comes in chunks
  bool has_body_ = false;                   // one comes
  std::optional<std::int64_t> bytes_left_;  // of one whose length was told
  bool client_failed_ = false;
};

/// Waits for the socket; false: cut, or too long.
bool session::wait(short events, std::int64_t longest_ms) {
  const auto until = time_.boot_ms() + longest_ms;
  while (owner_.alive() && time_.boot_ms() < until) {
    pollfd watched{socket_, events, 0};
    const int ready = ::poll(&watched, 1, look_every_ms);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

bool session::client_is_gone() const {
  char ignored = 0;
  const auto got = ::recv(socket_, &ignored, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

bool session::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    const bool full = sent < 0 && errno == EAGAIN;
    if (!full || !wait(POLLOUT, owner_.settings().limits.silence_ms)) {
      client_failed_ = true;
      return false;
    }
  }
  return true;
}

bool session::read_head(http::request_parser<http::empty_body>& parser) {
  parser.header_limit(max_head_bytes);
  const auto until = time_.boot_ms() + client_head_ms;
  for (;;) {
    if (!unread_.empty()) {
      boost::system::error_code failed;
      const auto used = parser.put(boost::asio::buffer(unread_), failed);
      unread_.erase(0, used);
      if (parser.is_header_done()) return true;
      if (failed && failed != http::error::need_more) {
        refuse(400, "the request cannot be read");
        return false;
      }
      if (unread_.size() > max_head_bytes) {
        refuse(431, "the request's head is too large");
        return false;
      }
    }
    if (!wait(POLLIN, until - time_.boot_ms())) return false;
    std::array<char, 8'192> bytes{};
    const auto got = ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) return false;
    unread_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

bool session::serve_one() {
  http::request_parser<http::empty_body> parser;
  target_.clear();
  head_only_ = begun_ = chunked_ = has_body_ = false;
  bytes_left_.reset();
  keep_alive_ = true;
  if (!read_head(parser)) return false;
  const auto& head = parser.get();
  target_.assign(head.target().data(), head.target().size());
  head_only_ = head.method() == http::verb::head;
  keep_alive_ = head.keep_alive();
  if (head.version() != 11) return refuse(400, "only HTTP/1.1 is spoken here");
  // The parser takes it; another one might see another request, so nothing more is read.
  if (!is_visible(target_)) return refuse(400, "a request's target is of visible ASCII");
  // A body that is left would be taken for the next request.
  const auto lengths = head.count(http::field::content_length);
  const bool has_length = lengths > 1 || (lengths == 1 && head[http::field::content_length] != "0");
  if (has_length || head.find(http::field::transfer_encoding) != head.end()) {
    return refuse(400, "a request has no body here");
  }
  if (head.method() != http::verb::get && !head_only_) {
    return refuse(405, "only GET and HEAD are answered here: mirrors are read, never written");
  }
  const auto found = owner_.routes().find(target_, owner_.settings().mirrors);
  if (const auto* refusal = std::get_if<route_refusal>(&found)) {
    return refuse(refusal->status, refusal->message);
  }
  if (!owner_.count_request() || owner_.is_past_bound()) {
    return refuse(403, "this fetch is past its bound of " + owner_.account().past_bound);
  }
  headers_.clear();
  const auto pass = [&](http::field name, const std::string& word,
                        std::span<const std::string_view> known) {
    const auto value = head[name];
    const auto passed = known_of({value.data(), value.size()}, known);
    if (!passed.empty()) headers_.push_back(word + ": " + passed);
  };
  pass(http::field::accept, "accept", types_out);
  pass(http::field::accept_encoding, "accept-encoding", codings_out);
  return forward(std::get<mirror_route>(found));
}

bool session::refuse(unsigned status, const std::string& why) {
  if (begun_) return false;
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  const auto body = nlohmann::json{{"error", why}}.dump(-1, ' ', false,
                                                        nlohmann::json::error_handler_t::replace) +
                    "\n";
  // What else the client sent of a request that cannot be read is dropped.
  const bool goes_on = keep_alive_ && (status == 403 || status == 404 || status >= 500);
  std::string text =
      "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason) +
      "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
      "\r\nconnection: " + (goes_on ? "keep-alive" : "close") + "\r\n\r\n";
  if (!head_only_) text += body;
  return send(text) && goes_on;
}

/// Closing with unread bytes would reset the connection, and what was answered be lost with it.
void session::linger() {
  ::shutdown(socket_, SHUT_WR);
  std::array<char, 8'192> ignored{};
  const auto until = time_.boot_ms() + linger_ms;
  while (wait(POLLIN, until - time_.boot_ms())) {
    if (::recv(socket_, ignored.data(), ignored.size(), MSG_DONTWAIT) <= 0) break;
  }
}

/// How long an answer's body is, as it says once and without doubt.
std::optional<std::string> length_of(const download_head& head) {
  std::optional<std::string> found;
  for (const auto& [name, value] : head.headers) {
    if (name == "transfer-encoding") return std::nullopt;
    if (name != "content-length") continue;
    const bool is_number = !value.empty() && value.size() <= 18 &&
                           value.find_first_not_of("0123456789") == std::string::npos;
    if (found || !is_number) return std::nullopt;
    found = value;
  }
  return found;
}

bool session::on_head(const download_head& head) {
  status_ = head.status;
  if (is_redirect(status_)) return true;  // it is judged when it is whole
  has_body_ = !head_only_ && status_ != 204 && status_ != 304;
  const auto length = status_ == 204 ? std::nullopt : length_of(head);
  if (has_body_ && length) bytes_left_ = std::stoll(*length);
  std::string text = "HTTP/1.1 " + std::to_string(status_) + " " +
                     std::string(http::obsolete_reason(static_cast<http::status>(status_))) +
                     "\r\n";
  for (const auto name : headers_in) {
    const auto there =
        std::ranges::find_if(head.headers, [&](const auto& one) { return one.first == name; });
    if (there == head.headers.end() || !is_plain_value(there->second)) continue;
    if (name == "content-length" && !length) continue;
    text += std::string(name) + ": " + there->second + "\r\n";
  }
  chunked_ = has_body_ && !length;
  if (chunked_) text += "transfer-encoding: chunked\r\n";
  text += std::string("connection: ") + (keep_alive_ ? "keep-alive" : "close") + "\r\n\r\n";
  begun_ = true;
  return send(text);
}

bool session::on_data(std::string_view bytes) {
  if (!owner_.alive() || !owner_.count_bytes(bytes.size())) return false;
  if (!begun_ || !has_body_ || bytes.empty()) return true;  // of a redirect; no chunk is empty
  if (bytes_left_) {
    *bytes_left_ -= static_cast<std::int64_t>(bytes.size());
    return *bytes_left_ >= 0 && send(bytes);  // more would be read as the next answer
  }
  std::array<char, 32> size{};
  const int length = std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  return send({size.data(), static_cast<std::size_t>(length)}) && send(bytes) && send("\r\n");
}

/// Why a redirect is not followed; none: it is.
std::optional<std::string> session::why_not_followed(const mirror_config& mirror,
                                                     const std::string& to) const {
  const auto slashes = to.find("://");
  const auto rest = slashes == to.npos ? std::string() : to.substr(slashes + 3);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  const auto where = parse_mirror_url(to.substr(0, slashes) + "://" + authority);
  const auto own = parse_mirror_url(mirror.url);
  if (!where || !own) return "the mirror redirects to what is no plain https URL";
  const bool is_own = where->scheme == own->scheme && where->authority == own->authority;
  if (is_own) return std::nullopt;
  const bool allowed =
      where->scheme == "https" &&
      std::ranges::find(mirror.redirects, where->authority) != mirror.redirects.end();
  if (allowed) return std::nullopt;
  return "the mirror redirects to " + where->authority +
         ", which is not among its `redirects` in the mirrors' configuration";
}

bool session::forward(const mirror_route& route) {
  auto url = route.mirror->url + route.path;
  for (int hops = 0; hops <= redirects_max; ++hops) {
    status_ = 0;
    const auto ended = upstream_.get(url, route.mirror->ca_file, head_only_, headers_, *this);
    if (ended.how == download_end::given_up) {
      if (!owner_.alive() || client_failed_ || begun_) return false;
      if (owner_.is_past_bound()) {
        return refuse(403, "this fetch is past its bound of " + owner_.account().past_bound);
      }
      return false;
    }
    if (ended.how == download_end::complete && status_ == 0) {
      const auto why = "the mirror '" + route.mirror->name + "' answers with no status of HTTP";
      owner_.note_trouble(target_, why);
      return refuse(502, why);
    }
    if (ended.how != download_end::complete) {
      const bool silent = ended.how == download_end::timed_out;
      const auto why = "the mirror '" + route.mirror->name + "' " +
                       (silent   ? "is silent"
                        : begun_ ? "broke off its answer"
                                 : "does not answer") +
                       ": " + ended.why;
      owner_.note_trouble(target_, why);
      return refuse(silent ? 504 : 502, why);
    }
    if (is_redirect(status_) && ended.redirect_to.empty()) {
      const std::string why = "the mirror redirects to nowhere";
      owner_.note_trouble(target_, why);
      return refuse(502, why);
    }
    if (is_redirect(status_)) {
      if (const auto why = why_not_followed(*route.mirror, ended.redirect_to)) {
        owner_.note_refused(target_, *why);
        return refuse(403, *why);
      }
      url = ended.redirect_to;
      continue;
    }
    if (bytes_left_.value_or(0) != 0) {
      owner_.note_trouble(target_, "the mirror '" + route.mirror->name + "' broke off its answer");
      return false;
    }
    if (is_trouble(status_)) {
      owner_.note_trouble(target_, "the mirror '" + route.mirror->name + "' answers with HTTP " +
                                       std::to_string(status_));
    } else {
      owner_.note_came(target_);
    }
    if (chunked_ && !send("0\r\n\r\n")) return false;
    return keep_alive_;
  }
  const std::string why = "the mirror redirects again and again";
  owner_.note_trouble(target_, why);
  return refuse(502, why);
}

}  // namespace

void serve_connection(door& owner, int socket) {
  session(owner, socket).run();
}

}  // namespace germline::worker
