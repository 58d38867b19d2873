// The part of session that sends a request upstream, passes its answer on and accounts for it.
#include "worker/gateway/session.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "common/log.hpp"
#include "worker/gateway/metrics.hpp"
#include "worker/gateway/secret_filter.hpp"

namespace germline::worker {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kept_bytes = 4 << 20;  // of an answer, for the transcript
constexpr std::size_t max_problem_bytes = 1'000;
constexpr std::size_t max_error_bytes = 1 << 20;          // of the body of one that is looked into
constexpr std::size_t max_told_bytes = 64'000;            // of an error, where it is translated
constexpr std::ptrdiff_t most_answer_commas = 1'000'000;  // millions of values would take seconds
constexpr std::size_t most_pending_bytes = 64 * 1024;     // of a stream, not written yet
constexpr std::size_t max_answer_bytes = 32 << 20;        // of an answer that does not stream

constexpr boost::beast::string_view event_stream = "text/event-stream";

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

void add_chunk(std::string& to, std::string_view bytes) {
  if (bytes.empty()) return;
  std::array<char, 2 * sizeof(std::size_t)> size{};
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  to.append(size.data(), end).append("\r\n").append(bytes).append("\r\n");
}

bool is_success(unsigned status) {
  return status >= 200 && status < 300;
}

std::vector<std::pair<std::string, std::string>> passed_headers(
    const upstream_head& head, const std::vector<std::string>& secrets) {
  std::vector<std::pair<std::string, std::string>> passed;
  for (const std::string_view name : {"request-id", "x-request-id", "retry-after", "x-should-retry",
                                      "x-germline-scripted", "x-germline-replay"}) {
    const auto value = head.header(name);
    if (!value.empty()) passed.emplace_back(name, without_secrets(value, secrets));
  }
  return passed;
}

constexpr std::string_view key_refused = "the upstream refused the gateway's own credentials";

bool refuses_key(unsigned status) {
  return status == 401 || status == 403;
}

/// An answer that is none, for people: its status, and what its body says of it.
std::string problem_of(unsigned status, const std::string& body,
                       const std::vector<std::string>& secrets) {
  auto text = "HTTP " + std::to_string(status);
  if (refuses_key(status)) return text + ": " + std::string(key_refused);
  if (body.size() > max_error_bytes) return text;
  const auto parsed = nlohmann::json::parse(body, nullptr, false);
  std::string message;
  const nlohmann::json::json_pointer place("/error/message");
  if (!parsed.is_discarded() && parsed.contains(place) && parsed[place].is_string()) {
    message = parsed[place].get<std::string>();
  }
  message = without_secrets(message, secrets);  // its escapes are gone
  if (!message.empty()) text += ": " + message.substr(0, max_problem_bytes);
  return text;
}

}  // namespace

std::optional<session::reply> session::prepare(parser& request, exchange& one) {
  const auto& config = owner_.parts().config;
  auto& head = request.get();
  one.body = std::make_shared<const std::string>(std::move(head.body()));
  one.headers = one.speaks.headers(
      [&](std::string_view name) {
        return view(head[{name.data(), name.size()}]);
      },
      config);
  one.price = owner_.price();
  request_limits limits;
  if (const auto more = config.more_fields.find(one.speaks.name());
      more != config.more_fields.end())
    limits.more_fields = more->second;
  limits.max_output_tokens = config.max_output_tokens;
  limits.default_output_tokens = std::min(config.max_output_tokens, one.price.max_output_tokens);
  if (auto refusal = shape_forms(one, limits)) return refusal;
  return reserve(one);
}

std::optional<session::reply> session::reserve(exchange& one) {
  if (!owner_.alive()) {
    return reply{400, one.speaks.error(400, "the attempt's time is over")};
  }
  std::uint64_t id = 0;
  const bool is_cap_put_in = std::ranges::any_of(
      one.forms, [](const auto& each) { return each.second.facts.is_cap_put_in; });
  const auto effect = owner_.reserve(one.bound, id, is_cap_put_in);
  if (const auto* spent = std::get_if<spent_effect>(&effect)) {
    return reply{400, one.speaks.error(400, spent->why)};
  }
  if (const auto* wait = std::get_if<wait_effect>(&effect)) {
    reply out{429, one.speaks.error(429, wait->why)};
    out.headers.emplace_back("retry-after", retry_after(wait->retry_after_ms));
    return out;
  }
  one.before_nanousd += std::exchange(one.cost_nanousd, 0);
  ++one.tries;
  one.reservation = one.serial = id;
  if (one.first_serial == 0) one.first_serial = id;
  return std::nullopt;
}

const recorded_bill* session::bill_of(const exchange& one) {
  return one.from && one.from->head && one.from->head->bill ? &*one.from->head->bill : nullptr;
}

void session::account(exchange& one, std::optional<token_counts> tokens) {
  if (!one.reservation) return;
  const auto* bill = bill_of(one);
  if (!bill) return account_try(one, tokens);
  if (bill->how == recorded_bill::kind::not_billed) {
    release(one);
  } else {
    tokens.reset();
    if (bill->how == recorded_bill::kind::settled) tokens = bill->tokens;
    account_try(one, tokens);
  }
  repeat_tries(one, *bill);
}

void session::account_try(exchange& one, const std::optional<token_counts>& tokens) {
  const auto id = *one.reservation;
  one.reservation.reset();
  if (one.bound.cost_nanousd == 0 && one.bound.input_tokens == 0) {
    one.outcome = "settled";
    return owner_.settle(id, {}, 0);
  }
  if (!tokens) return charge_by_bound(one, id);
  one.outcome = "settled";
  one.tokens = *tokens;
  one.cost_nanousd = cost_nanousd(one.price, *tokens);
  owner_.settle(id, *tokens, one.cost_nanousd);
}

void session::charge_by_bound(exchange& one, std::uint64_t id) {
  one.outcome = "charged_by_bound";
  one.cost_nanousd = one.bound.cost_nanousd;
  ++one.tries_by_bound;
  owner_.forfeit(id, one.problem);
  // A stream may have told more before it broke off.
  if (bill_of(one) || !one.usage) return;
  const auto told = one.usage->told();
  const auto beyond = [](std::int64_t count, std::int64_t bound) {
    return std::max<std::int64_t>(0, count - bound);
  };
  token_counts more;
  more.input = beyond(told.input + told.cache_write + told.cache_read, one.bound.input_tokens);
  more.output = beyond(told.output, one.bound.output_tokens);
  const auto cost_more = beyond(cost_nanousd(one.price, told), one.bound.cost_nanousd);
  if (more == token_counts() && cost_more == 0) return;
  one.cost_nanousd += cost_more;
  owner_.settle_more(more, cost_more);
}

void session::repeat_tries(exchange& one, const recorded_bill& bill) {
  for (std::int64_t i = 0; i < bill.more_by_bound + bill.more_not_billed; ++i) {
    std::uint64_t id = 0;
    if (!std::holds_alternative<granted_effect>(owner_.reserve(one.bound, id))) {
      return log_warning(
          "{}: a recorded request took {} tries more, for which the limits of its "
          "replay leave no room; they are not charged",
          owner_.settings().attempt_id, bill.more_by_bound + bill.more_not_billed - i);
    }
    ++one.tries;
    if (i < bill.more_by_bound) {
      owner_.forfeit(id, "this try of the recorded request was charged by its bound");
      ++one.tries_by_bound;
      one.before_nanousd += one.bound.cost_nanousd;
    } else {
      owner_.release(id, "this try of the recorded request was not billed");
    }
  }
}

// What was told after account(), if it is more: of tokens, or of money.
void session::account_late(exchange& one, const std::optional<token_counts>& tokens) {
  if (bill_of(one) || one.outcome != "settled" || !tokens || *tokens == one.tokens) return;
  const auto count = [](const token_counts& of) {
    return of.input + of.output + of.cache_write + of.cache_read;
  };
  const auto cost = std::max(one.cost_nanousd, cost_nanousd(one.price, *tokens));
  const auto cost_more = cost - one.cost_nanousd;
  // Where the price is 0, tokens may be bounded yet.
  if (cost_more == 0 && count(*tokens) <= count(one.tokens)) return;
  const token_counts more{tokens->input - one.tokens.input, tokens->output - one.tokens.output,
                          tokens->cache_write - one.tokens.cache_write,
                          tokens->cache_write_1h - one.tokens.cache_write_1h,
                          tokens->cache_read - one.tokens.cache_read};
  one.tokens = *tokens;
  one.cost_nanousd = cost;
  owner_.settle_more(more, cost_more);
}

// Cancels what is under way. What was asked and not answered whole may be billed, but for what a
// stream told before.
void session::give_back(exchange& one) {
  const bool sent = call_ != nullptr;
  call_.reset();
  if (sent) {
    account(one, one.usage ? one.usage->finish() : std::nullopt);
  } else if (one.reservation) {
    release(one);
  }
  // What was kept may end in the middle of a secret.
  one.kept_cut = one.kept_cut || (sent && !one.kept.empty());
  if (!one.recorded) finish_record(one, one.status);
}

void session::release(exchange& one) {
  owner_.release(*one.reservation, one.problem);
  one.reservation.reset();
  one.outcome = "not_billed";
}

std::size_t session::request_bytes(const exchange& one) {
  if (!one.client) return one.body ? one.body->size() : 0;
  auto all = one.client->size();
  for (const auto& [key, form] : one.forms) {
    if (form.body && form.body != one.client) all += form.body->size();
  }
  return all;
}

const std::shared_ptr<const std::string>& session::shown_request(const exchange& one) {
  return one.as && one.as->by ? one.client : one.body;
}

void session::forget_request(exchange& one) const {
  if (owner_.records()) {
    // What is free of charge has another share of the transcript: of what a recording answers that
    // is known at its end.
    if (bill_of(one) || one.bound.cost_nanousd == 0) return;
    one.keeps_request = !owner_.record_request(one.serial, shown_request(one));
    if (one.keeps_request) return owner_.record_requests_later();
    one.kept_request = one.serial;
  }
  one.body.reset();
  one.client.reset();
  for (auto& [key, each] : one.forms) each.body.reset();
  one.held.shrink_to(0);  // but for an upstream that answers before it has read the request
  owner_.parts().trimmer.note_freed();
}

void session::record_request_again() {
  if (current_ && current_->keeps_request) forget_request(*current_);
}

void session::keep(exchange& one, std::string_view bytes) {
  if (!owner_.records()) return;
  auto room = kept_bytes - one.kept.size();
  const auto with_it = request_bytes(one) + one.kept.size() + std::min(room, bytes.size());
  if (!one.held.grow_to(with_it)) room = 0;
  one.kept_cut = one.kept_cut || bytes.size() > room;
  one.kept += bytes.substr(0, room);
}

void session::finish_record(exchange& one, unsigned status) {
  one.recorded = true;
  one.keeps_request = false;
  one.cost_nanousd += std::exchange(one.before_nanousd, 0);
  if (one.tries_by_bound > 0 && one.outcome != "settled") one.outcome = "charged_by_bound";
  transcript_entry entry;
  entry.at_utc_ms = one.began_ms;
  entry.serial = static_cast<std::int64_t>(one.first_serial);
  entry.stream = one.usage != nullptr;
  entry.duration_ms = owner_.parts().time.utc_ms() - one.began_ms;
  entry.path = one.path;
  entry.upstream = one.upstream;
  entry.request = shown_request(one);
  entry.kept_request = one.kept_request;
  if (one.as && one.as->by) entry.translated = one.as->by->upstream().name();
  entry.status = status;
  entry.response = std::move(one.kept);
  entry.response_cut = one.kept_cut;
  entry.outcome = one.outcome;
  entry.tokens = one.tokens;
  entry.cost_nanousd = one.cost_nanousd;
  entry.tries = one.tries;
  entry.tries_by_bound = one.tries_by_bound;
  measure(one, status);
  owner_.record(std::move(entry));
}

void session::measure(const exchange& one, unsigned status) {
  auto* const metrics = owner_.parts().metrics;
  if (metrics == nullptr || one.kind != route_kind::create) return;
  const auto since_ms = [&](std::int64_t ms) {
    return static_cast<double>(ms - one.began_ms) / 1'000;
  };
  measured_request done;
  done.provider = one.provider;
  done.model = owner_.settings().model;
  done.outcome = one.outcome;
  done.seconds = since_ms(owner_.parts().time.utc_ms());
  if (one.first_chunk_ms > 0) done.first_chunk_seconds = since_ms(one.first_chunk_ms);
  if (!is_success(status)) {
    done.error = status == 0 ? "cut" : std::to_string(status);
  } else if (one.outcome == "charged_by_bound") {
    done.error = "cut";
  }
  done.tokens = one.tokens;
  done.cost_nanousd = one.cost_nanousd;
  metrics->note(done);
}

bool session::cannot_answer(unsigned status) {
  return status == 500 || (status >= 502 && status <= 504) || status == 529;
}

loop_task<bool> session::forward(exchange& one, bool keep_alive) {
  if (one.direct.empty() && one.kind == route_kind::count) {
    co_return co_await count_here(one, keep_alive);
  }
  reply failure{502, ""};
  signal_.expires_at(loop_timer::time_point::max());
  for (;;) {
    auto none = co_await pick_upstream(one);
    if (gone()) co_return false;
    if (!none && (!one.reservation || !owner_.alive())) none = reserve(one);
    if (none) {
      failure = std::move(*none);
      break;
    }
    pending_answer& from = one.from.emplace(signal_);
    auto& provider = *owner_.parts().upstreams[one.turn->index()];
    const auto* by = one.as->by;
    upstream_request request{one.path, one.body, one.headers, owner_.settings().attempt_id,
                             owner_.settings().token};
    if (by) {  // of the client's headers nothing means anything in another dialect
      request.path = by->path();
      request.headers = by->upstream().headers([](std::string_view) { return std::string_view(); },
                                               owner_.parts().config);
    }
    one.problem.clear();  // of a try before
    call_ = provider.send(std::move(request), from);
    watch_client();
    while (!gone() && !from.head && !from.end) co_await wait_change();
    if (gone()) co_return false;
    if (from.head && is_success(from.head->status)) {
      one.turn->tell(breaker_told::answered);
      const auto type = from.head->header("content-type");
      const bool streams = boost::beast::iequals(
          {type.data(), std::min(type.size(), event_stream.size())}, event_stream);
      one.status = from.head->status;
      if (streams) co_return co_await pass_stream(one, from, keep_alive);
      co_return co_await pass_whole(one, from, keep_alive);
    }
    if (from.head) {
      const bool is_final = from.head->is_recorded;
      if (is_final) one.turn->tell(breaker_told::answered);
      if (is_final || !note_answer(one, *from.head) || !may_go_on(one, true)) {
        co_return co_await pass_whole(one, from, keep_alive);
      }
      call_.reset();
      one.problem = "HTTP " + std::to_string(from.head->status);
      release(one);  // the next one is another request
      continue;
    }
    call_.reset();
    const bool went_out = *from.end != upstream_end::not_sent;
    failure = note_no_answer(one);
    if (may_go_on(one, went_out)) continue;
    owner_.obstructed(one.problem);
    break;
  }
  if (one.reservation) release(one);
  keep(one, failure.body);
  finish_record(one, failure.status);
  co_return co_await answer(std::move(failure), keep_alive);
}

// No upstream of this model can count.
loop_task<bool> session::count_here(exchange& one, bool keep_alive) {
  const nlohmann::json counted = {{"input_tokens", translation::estimated_tokens(*one.body)}};
  reply out;
  out.body = counted.dump();
  account(one, std::nullopt);  // of a bound of nothing
  keep(one, out.body);
  finish_record(one, out.status);
  co_return co_await answer(std::move(out), keep_alive);
}

translation::answer_traits session::traits_of(const exchange& one) {
  auto traits = one.as->traits;
  traits.id = "germline_" + std::to_string(one.serial);
  return traits;
}

bool session::translate_answer(const exchange& one, const std::optional<token_counts>& used,
                               reply& out) {
  if (is_success(out.status)) {
    if (std::ranges::count(out.body, ',') > most_answer_commas) return false;
    auto translated = one.as->by->answer(out.body, traits_of(one), used.value_or(token_counts()));
    if (translated) out.body = std::move(*translated);
    return translated.has_value();
  }
  auto message =
      out.body.size() > max_error_bytes
          ? std::string()
          : without_secrets(translation::error_message(out.body), owner_.parts().secrets);
  if (message.empty()) message = "the upstream answers HTTP " + std::to_string(out.status);
  out.body = one.speaks.error(out.status, message.substr(0, max_told_bytes));
  return true;
}

loop_task<bool> session::pass_whole(exchange& one, pending_answer& from, bool keep_alive) {
  const auto& upstream_speaks = one.as->by ? one.as->by->upstream() : one.speaks;
  const auto usage = upstream_speaks.reader(false, one.facts);
  reply out;
  out.status = from.head->status;
  const auto& secrets = owner_.parts().secrets;
  out.headers = passed_headers(*from.head, secrets);
  bool whole = false;
  std::string_view cut = "the upstream's answer was cut off";
  for (;;) {
    if (gone()) co_return false;
    out.body += std::exchange(from.data, {});
    if (out.body.size() > max_answer_bytes) {
      cut = "the upstream's answer is larger than 32 MiB, and was not read to its end";
      break;
    }
    if (!one.held.grow_to(request_bytes(one) + out.body.size())) {
      cut =
          "the upstream's answer was not read to its end: requests under way hold as many bytes "
          "as may be held at a time";
      break;
    }
    if (from.paused) {
      from.paused = false;
      call_->resume();
    } else if (from.end && from.data.empty()) {
      whole = *from.end == upstream_end::complete;
      break;
    } else if (from.data.empty()) {
      co_await wait_change();
    }
  }
  call_.reset();
  const bool success = is_success(out.status);
  if (success) usage->feed(out.body);
  out.body = without_secrets(out.body, secrets);
  one.problem = !whole    ? std::string(cut)
                : success ? "the upstream's answer does not tell its usage"
                          : problem_of(out.status, out.body, secrets);
  const bool overloaded = out.status == 429 || cannot_answer(out.status);
  if (const auto& difference = from.head->difference; !difference.empty()) {
    owner_.obstructed(without_secrets(difference, secrets), obstacle_kind::difference);
  } else if (!whole || overloaded || refuses_key(out.status)) {
    owner_.obstructed(one.problem);
  }
  std::optional<token_counts> used;
  if (success) {
    if (whole) used = usage->finish();
    account(one, used);
  } else if (bill_of(one)) {
    account(one, std::nullopt);
  } else if (one.reservation) {
    release(one);
  }
  const bool readable = !whole || !one.as->by || translate_answer(one, used, out);
  out.body = without_secrets(out.body, secrets);
  if (refuses_key(out.status)) {
    log_error("the upstream '{}' refuses the gateway's own key ({})", one.upstream, out.status);
    out.status = 400;
    out.body = one.speaks.error(400, key_refused);
  } else if (!whole) {
    out = reply{502, one.speaks.error(502, cut)};
  } else if (!readable) {
    std::string why = "the upstream's answer cannot be read";
    // Some routers tell of an error with status 200.
    if (out.body.size() <= max_error_bytes) {
      const auto told = without_secrets(translation::error_message(out.body), secrets);
      if (!told.empty()) why = "the upstream: " + told.substr(0, max_told_bytes);
    }
    out = reply{502, one.speaks.error(502, why)};
  }
  keep(one, out.body);
  finish_record(one, out.status);
  co_return co_await answer(std::move(out), keep_alive);
}

std::string session::translate_piece(exchange& one, translation::stream_translator& by,
                                     std::string_view bytes) {
  auto shown = by.feed(bytes, one.usage->told());
  if (!one.held.grow_to(request_bytes(one) + one.kept.size() + by.held_bytes())) {
    shown += by.fail("requests under way hold as many bytes as may be held at a time");
  }
  return shown;
}

loop_task<bool> session::pass_stream(exchange& one, pending_answer& from, bool keep_alive) {
  const auto& secrets = owner_.parts().secrets;
  // What is not written yet: the head goes out with the first events, the end with the last.
  auto pending = head_of(one.status, passed_headers(*from.head, secrets), keep_alive);
  pending +=
      "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
      "Transfer-Encoding: chunked\r\n\r\n";
  const auto* const by = one.as->by;
  one.usage = (by ? by->upstream() : one.speaks).reader(true, one.facts);
  const auto translator = by ? by->stream(traits_of(one)) : nullptr;
  forget_request(one);
  auto* const usage = one.usage.get();
  secret_filter filter(secrets);
  while (!gone()) {
    if (!from.data.empty()) {
      std::string bytes = std::exchange(from.data, {});
      if (one.first_chunk_ms == 0) one.first_chunk_ms = owner_.parts().time.utc_ms();
      usage->feed(bytes);
      // Before the client can know that it ended, so that its next request finds the money free.
      if (usage->settles()) account(one, usage->finish());
      if (translator) bytes = translate_piece(one, *translator, bytes);
      filter.feed(bytes);
      keep(one, bytes);
      add_chunk(pending, bytes);
    } else if (!pending.empty() && (!from.end || pending.size() > most_pending_bytes)) {
      if (!co_await write(std::exchange(pending, {}))) break;
    } else if (from.paused) {
      from.paused = false;
      call_->resume();
    } else if (from.end) {
      break;
    } else {
      co_await wait_change();
    }
  }
  if (gone()) co_return false;
  call_.reset();
  one.problem = stream_cut_off;
  if (*from.end == upstream_end::complete) usage->end();
  const auto used = usage->finish();
  account(one, used);
  account_late(one, used);
  bool whole = *from.end == upstream_end::complete && usage->ended();
  std::string last = usage->rest();
  if (translator) {
    last = whole ? translator->finish(usage->told()) : std::string();
    whole = whole && translator->ended();
  }
  filter.feed(last);
  last += filter.rest();
  keep(one, last);
  if (!whole) {
    owner_.obstructed(one.problem);
    // What was kept may end in the middle of a secret, which is not at its end any more then.
    auto hidden = secrets;
    if (!owner_.settings().open_to_anyone) hidden.push_back(owner_.settings().token);
    one.kept = redacted_beginning(one.kept, hidden);
    const bool told = translator && translator->failed();
    const auto end = told ? std::string() : one.speaks.stream_error(stream_cut_off);
    keep(one, end);
    last += end;
  }
  finish_record(one, one.status);
  add_chunk(pending, last);
  pending += "0\r\n\r\n";
  co_return co_await write(std::move(pending)) && keep_alive;
}

}  // namespace germline::worker
