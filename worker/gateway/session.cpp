#include "worker/gateway/session.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include <sys/socket.h>

#include "common/log.hpp"
#include "worker/gateway/strict_value.hpp"

namespace germline::worker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr std::uint32_t max_head_bytes = 32 * 1024;
constexpr std::size_t max_event_bytes = 8 * 1024;
constexpr std::chrono::seconds write_timeout(60);
constexpr std::chrono::seconds drain_timeout(2);
constexpr std::size_t max_drained_bytes = 64 << 20;
constexpr std::size_t usual_head_bytes = 2 * 1024;  // of agents' requests
constexpr std::size_t read_ahead_bytes = 64 * 1024;
constexpr std::size_t body_step_bytes = 256 * 1024;
constexpr std::size_t drain_step_bytes = 64 * 1024;
constexpr std::string_view models_path = "/v1/models";
constexpr std::string_view one_model_prefix = "/v1/models/";

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

loop_task<void> live(std::shared_ptr<attempt> owner, tcp_socket socket) {
  session one(*owner, std::move(socket));
  co_await one.run();
}

/// The tokens shown, in x-api-key and in Authorization: Bearer. Some clients send both, and in one
/// of them what stands for no key.
template <class Request>
std::array<std::string_view, 2> shown_tokens(const Request& request) {
  const auto bearer = view(request[http::field::authorization]);
  constexpr std::string_view scheme = "Bearer ";
  return {view(request["x-api-key"]),
          bearer.starts_with(scheme) ? bearer.substr(scheme.size()) : std::string_view()};
}

/// Whether it says in one way, which no reader takes for another, how long its body is. Boost's
/// parser takes lists of lengths, and a coding that it does not know for none.
template <class Request>
bool is_framed_plainly(const Request& request) {
  const auto codings = request.count(http::field::transfer_encoding);
  if (codings + request.count(http::field::content_length) > 1) return false;
  if (codings == 1) return beast::iequals(request[http::field::transfer_encoding], "chunked");
  return view(request[http::field::content_length]).find_first_not_of("0123456789") ==
         std::string_view::npos;
}

/// Both kinds of clients ask for models at one place; those of Anthropic name a version.
template <class Request>
const dialect& dialect_of_client(const Request& request) {
  return request.find("anthropic-version") != request.end() ? messages_dialect() : chat_dialect();
}

}  // namespace

void serve(std::shared_ptr<attempt> owner, tcp_socket socket) {
  auto& context = owner->parts().context;
  asio::co_spawn(context, live(std::move(owner), std::move(socket)),
                 [](const std::exception_ptr& failure) {
                   if (failure) log_error("a connection ended by an exception");
                 });
}

std::string session::retry_after(std::int64_t wait_ms) {
  return std::to_string(std::max<std::int64_t>(1, (wait_ms + 999) / 1000));
}

session::session(attempt& owner, tcp_socket socket)
    : owner_(owner), stream_(std::move(socket)), signal_(owner.parts().context) {
  owner_.joined(this);
}

session::~session() {
  owner_.left(this);
}

void session::cut() {
  cut_ = true;
  if (current_) give_back(*current_);
  error_code ignored;
  stream_.socket().close(ignored);
  signal_.cancel();
}

loop_task<void> session::run() {
  error_code failed;
  stream_.socket().non_blocking(true, failed);  // what it does at once must not block the others
  bool goes_on = !failed;
  while (goes_on && !gone()) goes_on = co_await serve_one();
  co_await stop_watching();
  error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  if (refused_ && !gone()) co_await drain();
}

// Closing with unread bytes would reset the connection, and the refusal be lost with it.
loop_task<void> session::drain() {
  std::size_t left = max_drained_bytes;
  error_code failed;
  stream_.expires_after(drain_timeout);
  while (!failed && left > 0) {
    buffer_.clear();
    const std::size_t got =
        co_await stream_.async_read_some(buffer_.prepare(drain_step_bytes), into(failed));
    left -= std::min(left, got);
  }
}

loop_task<bool> session::serve_one() {
  const auto& config = owner_.parts().config;
  error_code failed;
  parser request;
  request.header_limit(max_head_bytes);
  request.body_limit(static_cast<std::uint64_t>(config.max_body_bytes));
  stream_.expires_after(std::chrono::milliseconds(config.client_header_ms));
  co_await read_head(request, failed);
  shape_ = &shape_of(request);
  if (failed == http::error::body_limit) {
    co_return co_await refuse(413, "the request is too large");
  }
  if (failed == http::error::end_of_stream || gone()) co_return false;
  if (failed) {
    if (failed.category() != http::make_error_code(http::error::bad_method).category()) {
      co_return false;  // the connection broke, or was too slow
    }
    co_return co_await refuse(400, "the request cannot be read");
  }
  if (request.get().version() != 11) co_return co_await refuse(400, "only HTTP/1.1 is spoken here");
  if (!is_framed_plainly(request.get())) {
    co_return co_await refuse(400, "the request does not say plainly how long its body is");
  }
  co_return co_await route(request);
}

// Not by http::async_read_header, which takes 512 bytes at a time into a small buffer, and makes of
// each part of it an operation of its own.
loop_task<void> session::read_head(parser& request, error_code& failed) {
  buffer_.reserve(usual_head_bytes);
  bool wants_more = buffer_.size() == 0;
  if (!wants_more) co_await asio::post(asio::use_awaitable_t<loop_executor>());  // others first
  while (!failed && !request.is_header_done()) {
    if (wants_more) {
      const auto room = std::min(buffer_.max_size() - buffer_.size(),
                                 std::max(usual_head_bytes, buffer_.capacity() - buffer_.size()));
      if (room == 0) failed = http::error::buffer_overflow;
      if (!failed) {
        buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(room), into(failed)));
      }
      if (failed == asio::error::eof) {
        failed = http::error::end_of_stream;
        if (request.got_some()) request.put_eof(failed);
      }
      if (failed) break;
    }
    buffer_.consume(request.put(buffer_.cdata(), failed));
    wants_more = failed == http::error::need_more;
    if (wants_more) failed = {};
  }
}

// Of the errors: that of the path's dialect. Other paths are those of no client in particular.
const dialect& session::shape_of(const parser& request) const {
  const auto& head = request.get();
  const auto target = view(head.target());
  for (const dialect* one : all_dialects()) {
    if (target.starts_with(one->prefix())) return *one;
  }
  if (target.starts_with(models_path)) return dialect_of_client(head);
  const bool anthropic = head.find("anthropic-version") != head.end() ||
                         owner_.parts().roster.speaks(messages_dialect().name());
  return anthropic ? messages_dialect() : chat_dialect();
}

loop_task<bool> session::route(parser& request) {
  const auto& head = request.get();
  const std::string target(view(head.target()));
  const std::string path = target.substr(0, target.find('?'));
  const bool post = head.method() == http::verb::post;
  if (head.method() == http::verb::head && path == "/") {
    // A body that is left would be taken for the next request.
    if (!request.is_done()) co_return co_await refuse(400, "HEAD has no body here");
    reply nothing;
    co_return co_await answer(std::move(nothing), head.keep_alive(), true);
  }
  const dialect* speaks = nullptr;
  std::optional<route_kind> kind;
  for (const dialect* one : all_dialects()) {
    if (post && !kind && (kind = one->route(target))) speaks = one;
  }
  const bool event = post && target == "/germline/v1/events";
  const bool models = head.method() == http::verb::get &&
                      (path == models_path || path.starts_with(one_model_prefix));
  if (!speaks && !event && !models) {
    const std::string shown = path.substr(0, 100);
    const bool is_there = !post && std::ranges::any_of(all_dialects(), [&](const dialect* one) {
      return one->route(target).has_value();
    });
    if (is_there) co_return co_await refuse(405, shown + " takes POST here");
    co_return co_await refuse(404, "there is no " + shown + " here");
  }
  // A page from elsewhere, in a browser on this machine, must not spend the money: of what a page
  // may send unasked, every POST says where it comes from.
  if (owner_.settings().open_to_anyone && head.find(http::field::origin) != head.end()) {
    co_return co_await refuse(403, "web pages are not served where no token is asked for");
  }
  const auto tokens = shown_tokens(head);
  if (!owner_.token_fits(tokens[0]) && !owner_.token_fits(tokens[1])) {
    const bool none = tokens[0].empty() && tokens[1].empty();
    co_return co_await refuse(401, none ? "no token was sent" : "the token is not this attempt's");
  }
  if (event) co_return co_await serve_event(request);
  if (models) co_return co_await serve_models(request, path);
  const auto& roster = owner_.parts().roster;
  const auto model = owner_.settings().served_by();
  const auto* by = translation::translator_for(*speaks);
  const bool translates =
      by && !roster.translating(speaks->name(), by->upstream().name(), model).empty();
  if (!translates && !roster.serves(speaks->name(), model)) {
    std::string message = "the upstream does not speak '" + std::string(speaks->name()) +
                          "', and nothing is translated for it; it speaks";
    for (const dialect* each : all_dialects()) {
      if (roster.serves(each->name(), model)) message += " '" + std::string(each->name()) + "'";
    }
    owner_.obstructed(message, obstacle_kind::dialect);
    co_return co_await refuse(404, message);
  }
  exchange one{*speaks, *kind, target, held_bytes(owner_.bodies())};
  co_return co_await serve_model(request, one);
}

loop_task<bool> session::serve_models(parser& request, std::string_view path) {
  held_bytes held(owner_.bodies());
  const bool is_read = co_await read_body(request, held);
  owner_.parts().trimmer.note_freed();
  if (!is_read) co_return false;
  const auto& model = owner_.settings().model;
  const bool only = path != models_path;
  if (only && path.substr(one_model_prefix.size()) != model) {
    co_return co_await refuse(404, "the model of this attempt is '" + model + "', and no other");
  }
  reply out;
  out.body = shape_->models(model, only);
  co_return co_await answer(std::move(out), request.get().keep_alive());
}

loop_task<bool> session::read_body(parser& request, held_bytes& held) {
  if (!held.grow_to(request.content_length().value_or(0))) {
    co_await refuse(429, no_room_now, no_room_ms);
    co_return false;
  }
  error_code failed;
  stream_.expires_after(std::chrono::milliseconds(owner_.parts().config.client_body_ms));
  if (beast::iequals(request.get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(stream_, asio::buffer(go_on.data(), go_on.size()), into(failed));
    if (failed) co_return false;
  }
  if (request.content_length()) {
    co_await read_counted(request, failed);
  } else {
    co_await read_chunked(request, held, failed);
  }
  buffer_.shrink_to_fit();  // the answer may last, and many with it
  if (failed == http::error::body_limit || failed == http::error::buffer_overflow) {
    co_await refuse(413, "the request is too large");
  } else if (failed == asio::error::no_memory) {
    co_await refuse(429, no_room_now, no_room_ms);
  } else if (failed.category() == http::make_error_code(http::error::bad_chunk).category() &&
             failed != http::error::partial_message) {
    co_await refuse(400, "the request's chunks cannot be read");
  }
  co_return !failed && !gone();
}

// So many bytes, into their place, past Boost's parser, which has read the head and would copy
// them.
loop_task<void> session::read_counted(parser& request, error_code& failed) {
  auto& body = request.get().body();
  const auto length = static_cast<std::size_t>(*request.content_length());
  body.reserve(length + strict::document::spare_bytes);
  const auto there = std::min(length, buffer_.size());
  body.assign(static_cast<const char*>(buffer_.cdata().data()), there);
  buffer_.consume(there);
  while (!failed && body.size() < length) {
    const auto had = body.size();
    body.resize(had + std::min(body_step_bytes, length - had));
    const auto room = asio::buffer(body.data() + had, body.size() - had);
    // What is there already needs no operation; after the first time others have their turn.
    auto got = had == there ? stream_.socket().read_some(room, failed) : 0;
    if (had != there || failed == asio::error::would_block) {
      got = co_await stream_.async_read_some(room, into(failed));
    }
    body.resize(had + got);
  }
}

// `failed` is no_memory where no more may be held.
loop_task<void> session::read_chunked(parser& request, held_bytes& held, error_code& failed) {
  request.eager(true);
  // Not by http::async_read_some: that takes 512 bytes at a time into a small buffer, and goes on
  // by itself while the head of a chunk is not whole, however much is held by then.
  bool wants_more = buffer_.size() == 0;
  while (!failed && !request.is_done()) {
    if (!held.grow_to(request.get().body().capacity())) failed = asio::error::no_memory;
    if (!failed && wants_more) {
      const auto room = std::min(read_ahead_bytes, buffer_.max_size() - buffer_.size());
      if (room == 0) failed = http::error::buffer_overflow;
      if (failed) break;
      buffer_.commit(co_await stream_.async_read_some(buffer_.prepare(room), into(failed)));
    }
    if (failed) break;
    buffer_.consume(request.put(buffer_.cdata(), failed));
    wants_more = failed == http::error::need_more || buffer_.size() == 0;
    if (failed == http::error::need_more) failed = {};
  }
}

std::string session::head_of(unsigned status, const header_list& headers, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head += view(http::obsolete_reason(static_cast<http::status>(status)));
  head += "\r\n";
  for (const auto& [name, value] : headers) head.append(name).append(": ").append(value) += "\r\n";
  if (!keep_alive) head += "Connection: close\r\n";
  return head;
}

loop_task<bool> session::answer(reply out, bool keep_alive, bool head_only) {
  if (gone()) co_return false;
  auto head = head_of(out.status, out.headers, keep_alive);
  if (!head_only) head += "Content-Type: " + out.content_type + "\r\n";
  if (out.status != 204) head += "Content-Length: " + std::to_string(out.body.size()) + "\r\n";
  head += "\r\n";
  const buffer_pair whole = {asio::buffer(head),
                             head_only ? asio::const_buffer() : asio::buffer(out.body)};
  const bool goes_on = co_await write_all(whole) && keep_alive && !gone();
  co_return goes_on;
}

// What the socket has room for, which mostly is all, needs no operation.
loop_task<bool> session::write_all(buffer_pair bytes) {
  error_code failed;
  const auto all = asio::buffer_size(bytes);
  const auto at_once = stream_.socket().write_some(bytes, failed);
  if (failed == asio::error::would_block) failed = {};
  if (failed || at_once == all) co_return !failed;
  beast::buffers_suffix<buffer_pair> rest(bytes);
  rest.consume(at_once);
  stream_.expires_after(write_timeout);
  co_await asio::async_write(stream_, rest, into(failed));
  co_return !failed;
}

// The rest of a refused request is not read, so the connection cannot go on.
loop_task<bool> session::refuse(unsigned status, std::string_view message,
                                std::int64_t retry_after_ms) {
  owner_.count_refused();
  reply out;
  if (status == 405) out.headers.emplace_back("allow", "POST");
  if (retry_after_ms > 0) out.headers.emplace_back("retry-after", retry_after(retry_after_ms));
  out.status = status;
  out.body = shape_->error(status, message);
  co_await answer(std::move(out), false);
  refused_ = true;
  co_return false;
}

loop_task<bool> session::serve_event(parser& request) {
  request.body_limit(max_event_bytes);
  const bool fits = !request.content_length() || *request.content_length() <= max_event_bytes;
  if (!fits) co_return co_await refuse(413, "an event has at most 8 KiB");
  held_bytes held(owner_.bodies());
  const bool is_read = co_await read_body(request, held);
  owner_.parts().trimmer.note_freed();
  if (!is_read) co_return false;
  const bool keep_alive = request.get().keep_alive();
  const auto event = nlohmann::json::parse(request.get().body(), nullptr, false);
  reply out;
  out.status = 204;
  if (!event.is_object()) {
    out.status = 400;
    out.body = shape_->error(400, "an event is one JSON object");
  } else if (!owner_.alive() || !owner_.report_event(event.dump())) {
    out.status = 429;
    out.body = shape_->error(429, "too many events; this one is dropped");
    out.headers.emplace_back("retry-after", "1");
  }
  co_return co_await answer(std::move(out), keep_alive);
}

loop_task<bool> session::serve_model(parser& request, exchange& one) {
  if (const auto wait_ms = owner_.refusal_wait_ms(); wait_ms > 0) {
    co_return co_await refuse(429, "too many requests were refused in the last minute", wait_ms);
  }
  if (!co_await read_body(request, one.held)) {
    owner_.parts().trimmer.note_freed();
    co_return false;
  }
  const bool keep_alive = request.get().keep_alive();
  one.began_ms = owner_.parts().time.utc_ms();
  std::optional<reply> refusal = prepare(request, one);
  if (refusal) {
    owner_.note_refusal();
    owner_.count_refused();
    keep(one, refusal->body);
    finish_record(one, refusal->status);
    owner_.parts().trimmer.note_freed();
    co_return co_await answer(std::move(*refusal), keep_alive);
  }
  current_ = &one;
  const bool goes_on = co_await forward(one, keep_alive);
  give_back(one);  // a no-op unless it was cut
  owner_.parts().trimmer.note_freed();
  current_ = nullptr;
  co_return goes_on && !gone();
}

loop_task<bool> session::write(std::string bytes) {
  const buffer_pair whole = {asio::buffer(bytes), asio::const_buffer()};
  hung_up_ = !co_await write_all(whole) || hung_up_;
  co_return !gone();
}

loop_task<void> session::wait_change() {
  error_code cancelled;
  co_await signal_.async_wait(into(cancelled));
}

// Goes on from one request to the next: whatever comes then ends it, and is read as well.
void session::watch_client() {
  if (watching_ || gone()) return;
  watching_ = true;
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_read, [this](error_code failed) {
    watching_ = false;
    signal_.cancel();
    if (cut_ || !current_ || failed == asio::error::operation_aborted) return;
    char ignored = 0;
    const auto got =
        failed ? -1
               : ::recv(stream_.socket().native_handle(), &ignored, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) return;  // the next request came early; a hang-up will show when writing
    if (got < 0 && !failed && (errno == EAGAIN || errno == EINTR)) return watch_client();
    hung_up_ = true;
    give_back(*current_);
  });
}

// The watch refers to this session, which must not end before it.
loop_task<void> session::stop_watching() {
  while (watching_) {
    error_code ignored;
    stream_.socket().cancel(ignored);
    signal_.expires_at(loop_timer::time_point::max());
    co_await wait_change();
  }
}

}  // namespace germline::worker
