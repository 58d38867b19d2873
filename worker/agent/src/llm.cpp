#include "llm.hpp"

#include <algorithm>
#include <thread>

#include "bounded_output.hpp"
#include "event_stream.hpp"
#include "http.hpp"

namespace agent {
namespace {

constexpr int max_attempts = 7;
constexpr long long max_pause_ms = 60'000;
constexpr long long max_tokens_per_answer = 16'000;

bool worth_another_try(long status) {
  return status == 0 || status == 408 || status == 409 || status == 429 || status >= 500;
}

result<json> message_of(const http_reply& reply) {
  if (reply.content_type.find("event-stream") != std::string::npos) {
    return assemble_message(reply.body);
  }
  auto message = json::parse(reply.body);
  if (message && !(*message)["content"].is_array()) return error{"the answer has no content"};
  return message;
}

std::string describe(const http_reply& reply) {
  if (reply.status == 0) return reply.problem;
  return "HTTP " + std::to_string(reply.status) + ": " + bounded(reply.body, 400, 100);
}

}  // namespace

llm::llm(const task& work, std::string base_url, std::string key)
    : work_(work),
      url_(std::move(base_url) + "/v1/messages"),
      key_(std::move(key)),
      jitter_(work.random_seed) {}

bool llm::may_ask() const {
  if (work_.max_requests > 0 && requests_ >= work_.max_requests) return false;
  return token_cap() > 0;
}

long long llm::token_cap() const {
  if (work_.max_output_tokens <= 0) return max_tokens_per_answer;
  return std::min(max_tokens_per_answer, work_.max_output_tokens - output_tokens_);
}

long long llm::pause_ms(int attempt, double retry_after_s) {
  long long pause = std::min(500LL << attempt, max_pause_ms / 2);
  jitter_ = jitter_ * 6364136223846793005ULL + 1442695040888963407ULL;
  pause += static_cast<long long>((jitter_ >> 33) % 250);
  if (retry_after_s >= 0) {
    pause = static_cast<long long>(std::min(retry_after_s * 1000, double(max_pause_ms)));
  }
  return pause < work_.left().count() ? pause : -1;
}

llm_answer llm::ask(const std::string& system, const json& tools, const json& messages) {
  llm_answer answer;
  const auto body = json::of({{"model", work_.model},
                              {"max_tokens", token_cap()},
                              {"stream", true},
                              {"system", system},
                              {"tools", tools},
                              {"messages", messages}})
                        .text();
  for (int attempt = 0; attempt < max_attempts; ++attempt) {
    if (!may_ask()) {
      answer.why = "the budget of requests or tokens is used up";
      return answer;
    }
    ++requests_;
    const auto reply = http_post(
        url_,
        {"content-type: application/json", "anthropic-version: 2023-06-01", "x-api-key: " + key_},
        body, std::max(work_.left(), std::chrono::milliseconds(1)));
    answer.why = describe(reply);
    if (reply.status == 200) {
      const auto message = message_of(reply);
      if (message) {
        answer.ok = true;
        answer.content = (*message)["content"];
        answer.stop_reason = (*message)["stop_reason"].string_or();
        output_tokens_ += (*message)["usage"]["output_tokens"].integer_or();
        return answer;
      }
      answer.why = message.why();
    } else if (!worth_another_try(reply.status)) {
      answer.too_long = reply.status == 413 || reply.body.find("too long") != std::string::npos;
      return answer;
    }
    const auto pause = pause_ms(attempt, reply.retry_after_s);
    if (pause < 0) return answer;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
  }
  return answer;
}

}  // namespace agent
