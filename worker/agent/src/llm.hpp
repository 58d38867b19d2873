// The model, by the Messages API: one question, one answer, with retries where trying again can
// help. It counts requests and tokens against the task's budget; what is said is not its business.
#pragma once

#include <string>

#include "json.hpp"
#include "task.hpp"

namespace agent {

struct llm_answer {
  bool ok = false;
  json content;             // blocks
  std::string stop_reason;  // end_turn, tool_use, max_tokens, refusal, ...
  std::string why;          // if not ok: what failed, for good
  bool too_long = false;    // if not ok: the request was larger than the model takes
};

class llm {
 public:
  /// `base_url` and `key` as ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY give them.
  llm(const task& work, std::string base_url, std::string key);

  /// Sends system, tools and messages. Overload (429, 529), server errors and broken connections
  /// are tried again, after retry-after where it is given, else after a growing, capped pause.
  llm_answer ask(const std::string& system, const json& tools, const json& messages);

  /// False once the task's requests or tokens are used up.
  bool may_ask() const;

 private:
  long long token_cap() const;
  // How long to wait before another try; below zero: there is none.
  long long pause_ms(int attempt, double retry_after_s);

  const task& work_;
  std::string url_;
  std::string key_;
  long long requests_ = 0;
  long long output_tokens_ = 0;
  unsigned long long jitter_;
};

}  // namespace agent
