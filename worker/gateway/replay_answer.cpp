#include "worker/gateway/replay_answer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "worker/gateway/dialect.hpp"

namespace germline::worker {
namespace {

const dialect& dialect_of(std::string_view path) {
  for (const dialect* each : all_dialects()) {
    if (path.starts_with(each->prefix())) return *each;
  }
  return messages_dialect();
}

/// A stream of Chat Completions without the event that the gateway itself had asked for.
void put_usage_in(recorded_exchange& one) {
  if (one.outcome != "settled" || one.tokens == token_counts()) return;
  const auto reader = chat_dialect().reader(true, {});
  auto events = one.response;
  reader->feed(events);
  if (reader->finish()) return;
  const auto end = one.response.rfind("data: [DONE]");
  if (end == std::string::npos) return;
  const auto& used = one.tokens;
  const nlohmann::json event = {
      {"choices", nlohmann::json::array()},
      {"usage",
       {{"prompt_tokens", used.input + used.cache_write + used.cache_read},
        {"completion_tokens", used.output},
        {"prompt_tokens_details", {{"cached_tokens", used.cache_read}}}}}};
  one.response.insert(end, "data: " + event.dump() + "\n\n");
}

recorded_bill bill_of(const recorded_exchange& one) {
  constexpr std::int64_t most_tries = 100;  // a gateway makes three or so
  recorded_bill bill;
  const auto more = std::clamp<std::int64_t>(one.tries - 1, 0, most_tries);
  auto by_bound = one.tries_by_bound;
  if (one.outcome == "settled") {
    bill.how = recorded_bill::kind::settled;
    bill.tokens = one.tokens;
  } else if (one.outcome == "charged_by_bound") {
    bill.how = recorded_bill::kind::by_bound;
    --by_bound;
  }
  bill.more_by_bound = std::clamp<std::int64_t>(by_bound, 0, more);
  bill.more_not_billed = more - bill.more_by_bound;
  return bill;
}

}  // namespace

replay_answer answer_of(std::variant<recorded_exchange, replay_refusal> said,
                        std::string_view path) {
  const auto& speaks = dialect_of(path);
  if (const auto* refused = std::get_if<replay_refusal>(&said)) {
    return {400,   false,        speaks.error(400, refused->message),
            false, std::nullopt, refused->difference};
  }
  auto& one = std::get<recorded_exchange>(said);
  const auto bill = bill_of(one);
  if (one.status < 200 || one.status > 599) {
    return {502, false,
            speaks.error(502, "no answer to this request was recorded: its client had gone"), false,
            bill};
  }
  const bool streams = one.is_stream();
  if (streams) {
    // The gateway says so again.
    const auto end = speaks.stream_error(stream_cut_off);
    if (one.response.ends_with(end)) one.response.resize(one.response.size() - end.size());
    if (&speaks == &chat_dialect()) put_usage_in(one);
  }
  return {one.status, streams, std::move(one.response), one.response_cut, bill};
}

}  // namespace germline::worker
