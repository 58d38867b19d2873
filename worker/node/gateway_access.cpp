#include "worker/node/gateway_access.hpp"

#include <nlohmann/json.hpp>

#include "common/text/utf8.hpp"
#include "worker/node/usage_of.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_text_bytes = 4'096;
/// A renewal that is late is repeated by the next heartbeat; one that waits would hold heartbeats
/// up.
constexpr std::chrono::milliseconds renew_timeout{500};

/// A member as text: strings as they are, anything else as JSON.
std::string text_of(const nlohmann::json& event, const char* name) {
  if (!event.contains(name)) return {};
  const auto& value = event[name];
  auto text = value.is_string()
                  ? value.get<std::string>()
                  : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > max_text_bytes) text.resize(max_text_bytes);
  // Protobuf strings must be UTF-8, and a cut may have split a character.
  return valid_utf8(text);
}

v1::BudgetUnit refused_unit(spent_limit limit) {
  switch (limit) {
    case spent_limit::none:
      return v1::BUDGET_UNIT_UNSPECIFIED;
    case spent_limit::money:
      return v1::BUDGET_UNIT_MONEY;
    case spent_limit::tokens:
      return v1::BUDGET_UNIT_TOKENS;
    case spent_limit::requests:
      return v1::BUDGET_UNIT_REQUESTS;
    case spent_limit::own:
      return v1::BUDGET_UNIT_NONE;
  }
  return v1::BUDGET_UNIT_UNSPECIFIED;
}

}  // namespace

result<std::unique_ptr<gateway_access>> gateway_access::start(gateway_spec spec,
                                                              const clock& time) {
  std::unique_ptr<gateway_access> access(new gateway_access(time));
  auto* self = access.get();
  gateway_callbacks callbacks;
  callbacks.on_event = [self](const std::string& attempt, const std::string& event) {
    self->on_event(attempt, event);
  };
  callbacks.on_usage = [self](const std::string& attempt, const gateway_usage& usage,
                              const std::string& problem) {
    self->on_usage(attempt, usage, problem);
  };
  GERMLINE_TRY_ASSIGN(access->client_, gateway_client::start(std::move(spec), callbacks));
  return access;
}

void gateway_access::report_to(progress_sink sink) {
  const std::scoped_lock lock(mutex_);
  sink_ = std::move(sink);
}

void gateway_access::report(v1::AttemptProgress progress) {
  progress.mutable_event()->set_time_ms(time_.utc_ms());
  const std::scoped_lock lock(mutex_);
  if (sink_) sink_(std::move(progress));
}

void gateway_access::on_event(const std::string& attempt_id, const std::string& event_json) {
  const auto event = nlohmann::json::parse(event_json, nullptr, false);
  if (event.is_discarded() || !event.is_object()) return;
  v1::AttemptProgress progress;
  progress.mutable_event()->set_attempt_id(attempt_id);
  progress.mutable_event()->set_phase(v1::ITERATION_PHASE_RUNNING);
  progress.mutable_event()->set_step(text_of(event, "step").substr(0, 64));
  progress.mutable_event()->set_status(text_of(event, "status").substr(0, 16));
  progress.mutable_event()->set_detail(text_of(event, "detail"));
  report(std::move(progress));
}

void gateway_access::on_usage(const std::string& attempt_id, const gateway_usage& usage,
                              const std::string& problem) {
  v1::AttemptProgress progress;
  progress.mutable_event()->set_attempt_id(attempt_id);
  progress.mutable_event()->set_phase(v1::ITERATION_PHASE_RUNNING);
  progress.mutable_event()->set_step("model request");
  progress.mutable_event()->set_status(problem.empty() ? "done" : "failed");
  progress.mutable_event()->set_detail(valid_utf8(problem, max_text_bytes));
  *progress.mutable_usage() = usage_of(usage);
  report(std::move(progress));
}

result<void> gateway_access::open(const model_grant& grant, unique_fd listener) {
  gateway_open request;
  request.attempt_id = grant.attempt_id;
  request.token = grant.token;
  request.model = grant.model;
  request.replay = grant.replay;
  request.deadline_boot_ms = grant.deadline_boot_ms;
  const auto& limits = grant.limits;
  if (limits.max_requests() > 0) request.limits.max_requests = limits.max_requests();
  if (limits.max_requests_per_minute() > 0) {
    request.limits.max_requests_per_minute = limits.max_requests_per_minute();
  }
  if (limits.max_output_tokens() > 0) {
    request.limits.max_output_tokens = limits.max_output_tokens();
  }
  if (limits.max_tokens() > 0) request.limits.max_tokens = limits.max_tokens();
  request.limits.budget_nanousd = limits.budget_nanousd();
  request.listener = std::move(listener);
  return client_->open(std::move(request));
}

result<void> gateway_access::renew(const std::string& attempt_id, std::int64_t deadline_boot_ms) {
  return client_->renew(attempt_id, deadline_boot_ms, renew_timeout);
}

result<model_account> gateway_access::close(const std::string& attempt_id) {
  GERMLINE_TRY_ASSIGN(const auto used, client_->close(attempt_id));
  model_account account{usage_of(used), used.obstacle};
  account.usage.set_refused_unit(refused_unit(used.obstacle.limit));
  return account;
}

}  // namespace germline::worker
