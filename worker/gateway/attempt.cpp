#include "worker/gateway/attempt.hpp"

#include <algorithm>
#include <chrono>

#include <openssl/crypto.h>

#include "common/amount.hpp"
#include "common/log.hpp"
#include "worker/gateway/session.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t max_events = 20'000;
constexpr std::int64_t events_per_second = 20;
// Timers count a clock that stops in suspend; the deadline's does not. So look often.
constexpr std::int64_t longest_sleep_ms = 200;

}  // namespace

std::shared_ptr<attempt> attempt::make(gateway_parts& parts, attempt_settings settings,
                                       transcript record, account_journal journal,
                                       attempt_reports reports, tcp_listener listener) {
  return std::shared_ptr<attempt>(new attempt(parts, std::move(settings), std::move(record),
                                              std::move(journal), std::move(reports),
                                              std::move(listener)));
}

attempt::attempt(gateway_parts& parts, attempt_settings settings, transcript record,
                 account_journal journal, attempt_reports reports, tcp_listener listener)
    : parts_(parts),
      settings_(std::move(settings)),
      record_(std::make_shared<transcript_writer::record>(
          transcript_writer::record{settings_.attempt_id, std::move(record)})),
      records_(record_->file.writes()),
      reports_(std::move(reports)),
      listener_(std::move(listener)),
      deadline_timer_(parts.context),
      accept_pause_(parts.context),
      record_timer_(parts.context),
      journal_(std::move(journal)),
      refusals_(settings_.limits.max_requests_per_minute),
      bodies_(parts.config.max_held_bytes, &parts.bodies) {
  budget_.limits = settings_.limits;
}

void attempt::start() {
  accept_next();
  watch_deadline();
}

void attempt::accept_next() {
  listener_.async_accept(
      [self = shared_from_this()](boost::system::error_code failed, tcp_socket socket) {
        if (self->cut_) return;
        if (failed) {  // out of descriptors, or a client that is gone: do not spin
          self->accept_pause_.expires_after(std::chrono::milliseconds(50));
          self->accept_pause_.async_wait([self](boost::system::error_code stopped) {
            if (!stopped && !self->cut_) self->accept_next();
          });
          return;
        }
        // The last piece of a stream would wait for the client to acknowledge the one before: 40
        // ms.
        boost::system::error_code ignored;
        socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
        const auto most = static_cast<std::size_t>(self->parts_.config.max_connections);
        if (self->sessions_.size() < most && self->alive()) serve(self, std::move(socket));
        self->accept_next();
      });
}

void attempt::watch_deadline() {
  if (cut_ || !alive()) return;
  const std::int64_t left_ms = settings_.deadline_boot_ms - parts_.time.boot_ms();
  deadline_timer_.expires_after(
      std::chrono::milliseconds(std::clamp<std::int64_t>(left_ms, 1, longest_sleep_ms)));
  deadline_timer_.async_wait([self = shared_from_this()](boost::system::error_code stopped) {
    if (!stopped) self->watch_deadline();
  });
}

bool attempt::alive() {
  if (cut_ || expired_) return false;
  if (parts_.time.boot_ms() < settings_.deadline_boot_ms) return true;
  expired_ = true;
  log_info("{}: the deadline has passed; its streams are cut", settings_.attempt_id);
  cut_sessions();
  return false;
}

bool attempt::renew(std::int64_t deadline_boot_ms) {
  if (!alive()) return false;
  settings_.deadline_boot_ms = deadline_boot_ms;
  return alive();
}

void attempt::cut_sessions() {
  const auto sessions = sessions_;  // a session that is cut may leave at once
  for (session* one : sessions) one->cut();
}

void attempt::cut() {
  if (cut_) return;
  cut_ = true;
  boost::system::error_code ignored;
  listener_.close(ignored);
  deadline_timer_.cancel();
  accept_pause_.cancel();
  record_timer_.cancel();
  cut_sessions();
  for (const auto& one : parts_.upstreams) one->forget(settings_.attempt_id);
}

// A clock that was set back may be before its beginning.
const model_price& attempt::price() const {
  const auto& prices = settings_.prices;
  return *prices.at(std::max(parts_.time.utc_ms(), prices.begins_utc_ms()));
}

bool attempt::token_fits(std::string_view shown) const {
  if (settings_.open_to_anyone) return true;
  // The length of the token is no secret.
  return shown.size() == settings_.token.size() &&
         ::CRYPTO_memcmp(shown.data(), settings_.token.data(), shown.size()) == 0;
}

/// In the budget and in the journal.
budget_effect attempt::account(const budget_event& event) {
  const auto effect = step(budget_, event);
  // What ended and is not in it counts by its bound there.
  static_cast<void>(journal_.note(event, budget_));
  return effect;
}

budget_effect attempt::reserve(const request_bound& bound, std::uint64_t& id, bool is_cap_put_in) {
  id = next_reservation_++;
  const reserve_event asked{id, bound, parts_.time.boot_ms()};
  auto effect = step(budget_, asked);
  if (std::holds_alternative<granted_effect>(effect)) {
    if (const auto noted = journal_.note(asked, budget_); !noted) {
      log_error("{}: {}", settings_.attempt_id, noted.error().message());
      step(budget_, release_event{id});
      effect = wait_effect{"the gateway's journal of accounts cannot be written", 5'000};
    }
  }
  if (auto* spent = std::get_if<spent_effect>(&effect)) {
    if (is_cap_put_in && spent->limit != spent_limit::requests) {
      spent->why += "; it had no cap of output, and got one of " +
                    format_amount(unit::tokens, bound.output_tokens) + ": send a smaller one";
    }
    obstacle_ = {obstacle_kind::budget, spent->why, spent->limit};
  } else if (std::holds_alternative<granted_effect>(effect)) {
    obstacle_ = {};
  }
  return effect;
}

bool attempt::would_grant(const request_bound& bound,
                          const std::optional<std::uint64_t>& instead_of) const {
  auto state = budget_;
  if (instead_of) step(state, release_event{*instead_of});
  const auto effect = step(state, reserve_event{next_reservation_, bound, parts_.time.boot_ms()});
  return std::holds_alternative<granted_effect>(effect);
}

void attempt::settle(std::uint64_t id, const token_counts& tokens, std::int64_t cost_nanousd) {
  const auto effect = account(settle_event{id, tokens, cost_nanousd});
  if (std::get<accounted_effect>(effect).past_bound) {
    warn_of_more("billed more than the request's bound");
  }
  reports_.usage(settings_.attempt_id, usage(), {});
}

// Of an upstream that counts otherwise each request would say so.
void attempt::warn_of_more(std::string_view what) {
  if (is_warned_of_more_) return;
  is_warned_of_more_ = true;
  log_warning("{}: an upstream {}; of this attempt that is said once", settings_.attempt_id, what);
}

void attempt::settle_more(const token_counts& tokens, std::int64_t cost_nanousd) {
  warn_of_more("told more usage than was accounted for");
  account(more_event{tokens, cost_nanousd});
  reports_.usage(settings_.attempt_id, usage(), {});
}

void attempt::forfeit(std::uint64_t id, const std::string& problem) {
  account(forfeit_event{id});
  reports_.usage(settings_.attempt_id, usage(), problem);
}

void attempt::release(std::uint64_t id, const std::string& problem) {
  account(release_event{id});
  reports_.usage(settings_.attempt_id, usage(), problem);
}

void attempt::record(transcript_entry entry) {
  parts_.transcripts.append(record_, std::move(entry));
}

bool attempt::record_request(std::uint64_t id, std::shared_ptr<const std::string> text) {
  return parts_.transcripts.append_request(record_, id, std::move(text));
}

void attempt::record_requests_later() {
  if (records_later_ || cut_) return;
  records_later_ = true;
  record_timer_.expires_after(std::chrono::milliseconds(100));
  record_timer_.async_wait([self = shared_from_this()](boost::system::error_code stopped) {
    self->records_later_ = false;
    if (stopped || self->cut_) return;
    for (auto* one : self->sessions_) {
      one->record_request_again();
      if (self->records_later_) return;  // there is no room for the next one either
    }
  });
}

void attempt::close_record(std::function<void()> done) {
  parts_.transcripts.close(record_, std::move(done));
}

bool attempt::report_event(std::string event_json) {
  const std::int64_t now_ms = parts_.time.boot_ms();
  const std::int64_t gained = (now_ms - event_filled_ms_) * events_per_second / 1000;
  if (gained > 0) {
    event_allowance_ = std::min(events_per_second, event_allowance_ + gained);
    event_filled_ms_ = now_ms;
  }
  if (events_ >= max_events || event_allowance_ <= 0) return false;
  ++events_;
  --event_allowance_;
  reports_.event(settings_.attempt_id, std::move(event_json));
  return true;
}

}  // namespace germline::worker
