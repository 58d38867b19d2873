// The part of session that decides which upstream a request goes to, and whether it goes to another
// one, or once more to the same.
#include "worker/gateway/session.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <curl/curl.h>

#include "worker/gateway/metrics.hpp"

namespace germline::worker {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int max_retries = 2;  // of upstreams that were asked already
constexpr int max_waits = 3;
constexpr std::uint64_t first_backoff_ms = 500;
constexpr std::int64_t longest_wait_ms = 5'000;  // for an upstream to be free again
constexpr std::uint64_t wait_jitter_ms = 200;

std::optional<std::int64_t> seconds_to_rest(const upstream_head& head, std::int64_t now_s) {
  const auto after = head.header("retry-after");
  std::int64_t seconds = 0;
  const auto read = std::from_chars(after.data(), after.data() + after.size(), seconds);
  if (read.ec != std::errc()) {  // it may be a date
    const auto until_s = ::curl_getdate(std::string(after).c_str(), nullptr);
    if (until_s < 0) return std::nullopt;
    seconds = std::max<std::int64_t>(0, until_s - now_s);
  }
  if (seconds < 0) return std::nullopt;
  return std::min<std::int64_t>(seconds, 1'000'000);
}

}  // namespace

std::optional<session::reply> session::shape_forms(exchange& one, const request_limits& bounds) {
  const auto& settings = owner_.settings();
  const auto& roster = owner_.parts().roster;
  one.direct = roster.serving(one.speaks.name(), settings.served_by());
  const auto* by = translation::translator_for(one.speaks);
  if (by && one.kind == route_kind::create) {
    one.translated =
        roster.translating(one.speaks.name(), by->upstream().name(), settings.served_by());
  }
  if (!one.translated.empty()) one.client = one.body;
  if (one.direct.empty() && one.kind == route_kind::count) {
    request_facts facts;
    return judge_client(one, bounds, facts);
  }
  if (auto refusal = shape_direct(one, bounds)) return refusal;
  if (auto refusal = shape_translated(one, bounds)) return refusal;
  if (one.kind == route_kind::create) {
    one.bound.cost_nanousd =
        bound_nanousd(one.price, one.bound.input_tokens, one.bound.output_tokens);
  }
  return std::nullopt;
}

std::optional<session::reply> session::judge_client(const exchange& one,
                                                    const request_limits& limits,
                                                    request_facts& facts) {
  const auto& model = owner_.settings().model;
  auto judged = one.speaks.judge(one.client ? *one.client : *one.body, one.kind, limits);
  std::string why;
  if (const auto* refused = std::get_if<request_refusal>(&judged)) {
    why = refused->message;
  } else {
    facts = std::get<request_facts>(std::move(judged));
    if (facts.model == model) return std::nullopt;
    why = "the model of this attempt is '" + model + "', and no other";
  }
  return reply{400, one.speaks.error(400, why)};
}

void session::raise_bound(exchange& one, const request_facts& facts) {
  one.bound.input_tokens = std::max(one.bound.input_tokens, facts.input_bound_tokens);
  one.bound.output_tokens = std::max(one.bound.output_tokens, facts.max_output_tokens);
}

session::form_key session::key_of(const exchange& one, std::size_t index) {
  const auto& upstream = owner_.parts().config.upstreams[index];
  const bool translates = std::ranges::find(one.translated, index) != one.translated.end();
  return {upstream.chat_cap, upstream.chat_store_false, translates};
}

std::optional<session::reply> session::shape_direct(exchange& one, const request_limits& bounds) {
  const auto original = one.body;
  for (const auto index : one.direct) {
    const auto& upstream = owner_.parts().config.upstreams[index];
    const auto [place, is_new] = one.forms.try_emplace(key_of(one, index));
    if (!is_new) continue;
    auto limits = bounds;
    limits.chat_cap = upstream.chat_cap;
    limits.chat_store_false = upstream.chat_store_false;
    auto& [facts, body, by, traits] = place->second;
    if (auto refusal = judge_client(one, limits, facts)) return refusal;
    body = original;
    if (facts.rewritten) {
      body = std::make_shared<const std::string>(std::move(*facts.rewritten));
      facts.rewritten.reset();
      // The first takes the place of the original, unless that is kept.
      const bool is_more = one.client || one.forms.size() > 1;
      if (is_more && !one.held.grow_by(body->size())) return no_room(one, body->size());
    }
    if (one.kind == route_kind::create) raise_bound(one, facts);
  }
  return std::nullopt;
}

std::optional<session::reply> session::shape_translated(exchange& one,
                                                        const request_limits& bounds) {
  if (one.translated.empty()) return std::nullopt;
  const auto& by = *translation::translator_for(one.speaks);
  request_facts asked;
  if (auto refusal = judge_client(one, bounds, asked)) return refusal;
  for (const auto index : one.translated) {
    const auto& upstream = owner_.parts().config.upstreams[index];
    const auto key = key_of(one, index);
    if (one.forms.contains(key)) continue;
    auto limits = bounds;
    limits.chat_cap = upstream.chat_cap;
    limits.chat_store_false = upstream.chat_store_false;
    auto made = by.request(*one.client, limits);
    auto* request = std::get_if<translation::translated_request>(&made);
    // As strictly as what an agent says in that dialect itself.
    auto judged = request ? by.upstream().judge(request->body, one.kind, limits)
                          : judgement(std::get<request_refusal>(made));
    if (const auto* refused = std::get_if<request_refusal>(&judged)) {
      if (one.direct.empty()) return reply{400, one.speaks.error(400, refused->message)};
      one.translated.clear();  // then it is for the others alone
      return std::nullopt;
    }
    form shaped{std::get<request_facts>(std::move(judged)), nullptr, &by, {}};
    shaped.facts.hides_usage = false;  // the translator wants it
    shaped.facts.is_cap_put_in = asked.is_cap_put_in;
    if (shaped.facts.rewritten) request->body = std::move(*shaped.facts.rewritten);
    shaped.facts.rewritten.reset();
    if (!one.held.grow_by(request->body.size())) return no_room(one, request->body.size());
    shaped.body = std::make_shared<const std::string>(std::move(request->body));
    shaped.traits.model = asked.model;
    shaped.traits.created_s = one.began_ms / 1000;
    shaped.traits.shows_usage = asked.stream && !asked.hides_usage;
    // No upstream that signs its thinking may get what another did not sign.
    shaped.traits.shows_thinking = request->wants_thinking && one.direct.empty();
    raise_bound(one, shaped.facts);
    one.forms.emplace(key, std::move(shaped));
  }
  return std::nullopt;
}

session::reply session::no_room(const exchange& one, std::size_t more) {
  const auto needed = static_cast<std::uint64_t>(one.held.bytes()) + more;
  if (!owner_.bodies().could_take(needed)) {
    return {400, one.speaks.error(400, "the request and its forms for the upstreams take " +
                                           std::to_string(needed) +
                                           " bytes, which is more than may be held at a time; "
                                           "send a shorter one")};
  }
  reply out{429, one.speaks.error(429, no_room_now)};
  out.headers.emplace_back("retry-after", retry_after(no_room_ms));
  return out;
}

session::next_try session::next(const exchange& one) {
  auto& roster = owner_.parts().roster;
  const auto model = owner_.settings().served_by();
  const auto choose = [&](const std::set<std::size_t>& but_not, bool again) {
    auto choice = roster.choose_among(one.direct, model, but_not);
    if (!choice.index) {
      const auto other = roster.choose_among(one.translated, model, but_not);
      const bool sooner =
          other.wait_ms > 0 && (choice.wait_ms == 0 || other.wait_ms < choice.wait_ms);
      if (other.index || sooner) choice = other;
    }
    return next_try{choice.index, choice.wait_ms, choice.broken, again};
  };
  const bool once_more = one.retries < max_retries;
  if (one.only) {  // it may have begun to answer: none but it is asked the same
    std::set<std::size_t> others(one.direct.begin(), one.direct.end());
    others.insert(one.translated.begin(), one.translated.end());
    others.erase(*one.only);
    return once_more ? choose(others, true) : next_try{};
  }
  const auto fresh = choose(one.tried, false);
  if (fresh.index || one.tried.empty() || !once_more) return fresh;
  const auto again = choose(one.spent, true);
  const bool sooner = fresh.wait_ms == 0 || (again.wait_ms > 0 && again.wait_ms < fresh.wait_ms);
  return again.index || sooner ? again : fresh;
}

bool session::worth_waiting(const exchange& one, const next_try& for_it) {
  return for_it.wait_ms > 0 && for_it.wait_ms <= longest_wait_ms && one.waits < max_waits;
}

/// Whether another try is allowed, which is another request, unless the last one did not go out.
bool session::may_go_on(const exchange& one, bool went_out) {
  if (went_out && !owner_.would_grant(one.bound, one.reservation)) return false;
  const auto after = next(one);
  return after.index || worth_waiting(one, after);
}

loop_task<void> session::pause(std::int64_t for_ms) {
  watch_client();
  signal_.expires_after(std::chrono::milliseconds(for_ms));
  error_code woken(asio::error::operation_aborted);
  while (woken && !gone()) {
    co_await signal_.async_wait(into(woken));
  }
  signal_.expires_at(loop_timer::time_point::max());
}

loop_task<std::optional<session::reply>> session::pick_upstream(exchange& one) {
  auto& random = owner_.parts().random;
  for (bool rested = false; !gone();) {
    const auto found = next(one);
    if (!found.index) {
      if (!worth_waiting(one, found)) co_return no_upstream(one, found);
      ++one.waits;
      co_await pause(found.wait_ms + static_cast<std::int64_t>(random.below(wait_jitter_ms)));
    } else if (found.again && !rested) {
      const auto most_ms = first_backoff_ms << (one.retries + 1);
      co_await pause(static_cast<std::int64_t>(random.below(most_ms)));
      rested = true;
    } else {
      take(one, *found.index);
      break;
    }
  }
  co_return std::nullopt;
}

void session::take(exchange& one, std::size_t index) {
  const auto& parts = owner_.parts();
  const auto& upstream = parts.config.upstreams[index];
  one.turn.emplace(parts.roster.take(index));
  if (!one.tried.insert(index).second) ++one.retries;
  one.as = &one.forms.at(key_of(one, index));
  one.facts = one.as->facts;
  one.body = one.as->body;
  one.upstream = upstream.name;
  one.provider = provider_name(upstream);
}

session::reply session::no_upstream(exchange& one, const next_try& found) {
  const std::string why = found.broken ? "no upstream of this model answers at present"
                                       : "every upstream of this model is full, or asked to wait";
  reply out{found.broken ? 503U : 429U, ""};
  out.body = one.speaks.error(out.status, why);
  if (found.wait_ms > 0) out.headers.emplace_back("retry-after", retry_after(found.wait_ms));
  one.problem = "HTTP " + std::to_string(out.status) + ": " + why;
  owner_.obstructed(one.problem);
  return out;
}

bool session::note_answer(exchange& one, const upstream_head& head) {
  const auto index = one.turn->index();
  one.only.reset();
  bool may_help = true;
  if (head.status == 500) {
    one.turn->tell(breaker_told::unknown);  // maybe by what was asked
  } else if (cannot_answer(head.status)) {
    one.turn->tell(breaker_told::failed, "HTTP " + std::to_string(head.status));
  } else {
    one.turn->tell(breaker_told::answered);
    may_help = head.status == 429;
  }
  if (head.status == 429) {
    // Without a time it is a spending cap, which no wait ends.
    if (const auto seconds = seconds_to_rest(head, owner_.parts().time.utc_ms() / 1000)) {
      owner_.parts().roster.rest(index, std::string(owner_.settings().served_by()),
                                 *seconds * 1000);
    } else {
      one.spent.insert(index);
    }
  }
  one.turn.reset();
  return may_help;
}

session::reply session::note_no_answer(exchange& one) {
  const auto end = *one.from->end;
  const auto reason = one.from->end_reason;
  one.turn->tell(breaker_told::failed, reason);
  one.problem = reason;
  if (end != upstream_end::not_sent) {
    account(one, std::nullopt);
    one.only = one.turn->index();
  }
  one.turn.reset();
  reply failure{end == upstream_end::timed_out ? 504U : 502U, ""};
  one.problem = "HTTP " + std::to_string(failure.status) + ": " + reason;
  failure.body = one.speaks.error(failure.status, "the upstream did not answer: " + reason);
  return failure;
}

}  // namespace germline::worker
