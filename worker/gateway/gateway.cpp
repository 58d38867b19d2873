#include "worker/gateway/gateway.hpp"

#include <boost/asio/post.hpp>
#include <chrono>
#include <set>
#include <utility>

#include <sys/socket.h>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/money.hpp"
#include "worker/gateway/replay_upstream.hpp"
#include "worker/gateway/usage_teller.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_outbox = 4096;
constexpr std::size_t max_attempts = 4096;
constexpr std::size_t min_token_bytes = 16;
constexpr std::size_t max_token_bytes = 512;
constexpr std::chrono::milliseconds longest_wait_for_transcript(500);

bool is_file_name(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == text.npos;
}

/// The family of a listening TCP socket; an error for any other descriptor.
result<boost::asio::ip::tcp> listener_family(int fd) {
  const auto option = [fd](int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
  };
  const int family = option(SO_DOMAIN);
  if (option(SO_ACCEPTCONN) != 1 || option(SO_TYPE) != SOCK_STREAM ||
      (family != AF_INET && family != AF_INET6)) {
    return error(error_code::invalid_argument, "the descriptor is no listening TCP socket");
  }
  return family == AF_INET ? boost::asio::ip::tcp::v4() : boost::asio::ip::tcp::v6();
}

result<void> check_open(const control_message& message) {
  const auto bad = [](const char* why) { return error(error_code::invalid_argument, why); };
  if (!is_file_name(message.attempt_id)) return bad("attempt_id is no plain name");
  if (message.open_to_anyone) {
    if (!message.token.empty()) return bad("a door that is open to anyone has no token");
  } else if (message.token.size() < min_token_bytes || message.token.size() > max_token_bytes) {
    return bad("the token must have 16 to 512 characters");
  }
  const auto& limits = message.limits;
  if (limits.max_requests < 1 || limits.max_requests_per_minute < 1 ||
      limits.max_input_tokens < 1 || limits.max_output_tokens < 1 || limits.max_tokens < 1 ||
      limits.budget_nanousd < 0) {
    return bad("every limit must be at least 1, the budget at least 0");
  }
  if (message.replay && !message.replay->of.empty() && !is_file_name(message.replay->of)) {
    return bad("the attempt that is replayed is no plain name");
  }
  return {};
}

/// Of a model without a price now.
std::string begins_later(const price_schedule& prices) {
  if (prices.empty()) return "";
  return ", before " + to_iso8601(prices.begins_utc_ms()).substr(0, 10);
}

}  // namespace

gateway::gateway(gateway_parts& parts, price_table prices, std::vector<std::string> secrets,
                 unique_fd control)
    : parts_(parts),
      prices_(std::move(prices)),
      secrets_(std::move(secrets)),
      control_(parts.context, control.release()) {
  control_.non_blocking(true);
}

void gateway::wait_for_packets() {
  control_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](boost::system::error_code failed) {
                        if (stopped_) return;
                        if (failed) return stop("the control socket failed");
                        read_packets();
                        if (!stopped_) wait_for_packets();
                      });
}

void gateway::read_packets() {
  while (!stopped_) {
    auto packet = receive_packet(control_.native_handle());
    if (!packet && packet.error().code() == error_code::unavailable) return;
    if (!packet) return stop(packet.error().message());
    if (packet->bytes.empty()) return stop("who started the gateway has ended it, or has ended");
    auto message = decode(packet->bytes);
    if (!message) return stop(message.error().message());
    handle(std::move(*message), std::move(packet->fd));
  }
}

void gateway::handle(control_message message, unique_fd fd) {
  control_message answer;
  answer.op = control_op::refused;
  switch (message.op) {
    case control_op::open:
      answer = open(message, std::move(fd));
      break;
    case control_op::renew: {
      const auto found = attempts_.find(message.attempt_id);
      if (found == attempts_.end()) {
        answer.message = "there is no such attempt";
      } else if (!found->second->renew(message.deadline_boot_ms)) {
        answer.message = "its deadline has passed";
      } else {
        answer.op = control_op::renewed;
      }
      break;
    }
    case control_op::close:
      return close(message);
    default:
      answer.message = "only open, renew and close are asked for";
  }
  answer.seq = message.seq;
  answer.attempt_id = message.attempt_id;
  send(answer, false);
}

control_message gateway::open(control_message& message, unique_fd fd) {
  control_message answer;
  answer.op = control_op::opened;
  auto made = make_attempt(message, std::move(fd));
  if (!made) {
    answer.op = control_op::refused;
    answer.message = made.error().message();
    answer.lasting = made.error().code() == error_code::failed_precondition;
    return answer;
  }
  attempts_.emplace(message.attempt_id, *made);
  (*made)->start();
  log_info("{}: open for {}", message.attempt_id, message.model);
  return answer;
}

/// One key of several is enough: the others' upstreams answer 401, and the next one is asked.
result<void> gateway::check_keys(const std::string& model) const {
  std::set<std::string> missing;
  for (const auto index : parts_.roster.serving(model)) {
    const auto& name = parts_.config.upstreams[index].key_env;
    if (name.empty() || !parts_.missing_keys.contains(name)) return {};
    missing.insert(name);
  }
  std::string names;
  for (const auto& name : missing) names += (names.empty() ? "" : ", ") + name;
  return error(error_code::failed_precondition,
               "no upstream that serves '" + model + "' has a key: " + names +
                   (missing.size() == 1 ? " was" : " were") +
                   " not set where the worker was started; start it again with the key, then "
                   "germline resume");
}

result<std::shared_ptr<attempt>> gateway::make_attempt(control_message& message, unique_fd fd) {
  GERMLINE_TRY(check_open(message));
  if (attempts_.contains(message.attempt_id)) {
    return error(error_code::already_exists, "the attempt is open already");
  }
  if (attempts_.size() >= max_attempts) {
    return error(error_code::resource_exhausted, "too many attempts are open");
  }
  if (!message.replay && !parts_.roster.serves(message.model)) {
    return error(error_code::failed_precondition,
                 "no upstream of the gateway's configuration serves '" + message.model +
                     "'; add it to an upstream there, and start the worker again");
  }
  if (!message.replay) GERMLINE_TRY(check_keys(message.model));
  auto prices = prices_.find(message.model);
  if (!prices.at(parts_.time.utc_ms())) {
    return error(error_code::failed_precondition,
                 "the model '" + message.model + "' has no price in " + parts_.config.prices_file +
                     " as it was read when the worker was started" + begins_later(prices) +
                     ", and what cannot be priced is not asked; add a row for it to that file, and "
                     "start the "
                     "worker again");
  }
  GERMLINE_TRY_ASSIGN(const auto family, listener_family(fd.get()));
  tcp_listener listener(parts_.context);
  boost::system::error_code failed;
  listener.assign(family, fd.get(), failed);
  if (failed) return error(error_code::internal, "taking the listener: " + failed.message());
  fd.release();
  auto secrets = secrets_;
  if (!message.open_to_anyone) secrets.push_back(message.token);
  if (message.replay) GERMLINE_TRY(begin_replay(message));
  auto record = transcript::open(parts_.config.transcripts_directory, message.attempt_id,
                                 parts_.config.transcript_max_bytes, std::move(secrets));
  if (!record) {
    if (message.replay) parts_.recorded->forget(message.attempt_id);
    return error(error_code::failed_precondition, record.error().message());  // nor will the next
  }
  auto journal =
      parts_.journals_directory.empty()
          ? result<account_journal>(account_journal())
          : account_journal::open(parts_.journals_directory, message.attempt_id, parts_.boot_id);
  if (!journal) {
    if (message.replay) parts_.recorded->forget(message.attempt_id);
    return journal.error();
  }
  attempt_reports reports;
  const auto teller =
      std::make_shared<usage_teller>(parts_.context, parts_.time,
                                     [this, attempt_id = message.attempt_id](
                                         const gateway_usage& usage, const std::string& problem) {
                                       if (!attempts_.contains(attempt_id))
                                         return;  // what it used was told when it was closed
                                       control_message report;
                                       report.op = control_op::usage;
                                       report.attempt_id = attempt_id;
                                       report.usage = usage;
                                       report.message = problem;
                                       send(report, true);
                                     });
  reports.usage = [teller](const std::string&, const gateway_usage& usage,
                           const std::string& problem) { teller->note(usage, problem); };
  reports.event = [this](const std::string& attempt_id, std::string event_json) {
    control_message report;
    report.op = control_op::event;
    report.attempt_id = attempt_id;
    report.event_json = std::move(event_json);
    send(report, true);
  };
  // Its answers take no time: what was not too fast then is not now.
  if (message.replay) message.limits.max_requests_per_minute = message.limits.max_requests;
  attempt_settings settings{
      message.attempt_id, message.token,  message.open_to_anyone,   message.model,
      std::move(prices),  message.limits, message.deadline_boot_ms, message.replay.has_value()};
  return attempt::make(parts_, std::move(settings), std::move(*record), std::move(*journal),
                       std::move(reports), std::move(listener));
}

result<void> gateway::begin_replay(const control_message& message) {
  if (!parts_.recorded) {
    return error(error_code::failed_precondition,
                 "the gateway writes no transcripts, and has none to replay: name a `directory` in "
                 "[transcripts] of its configuration");
  }
  const auto& wish = *message.replay;
  return parts_.recorded->begin(message.attempt_id, wish.of,
                                wish.is_strict ? replay_mode::strict : replay_mode::lenient);
}

void gateway::close(const control_message& message) {
  control_message answer;
  answer.seq = message.seq;
  answer.attempt_id = message.attempt_id;
  const auto found = attempts_.find(message.attempt_id);
  if (found == attempts_.end()) {
    answer.op = control_op::refused;
    answer.message = "there is no such attempt";
    return send(answer, false);
  }
  found->second->cut();
  answer.op = control_op::closed;
  answer.usage = found->second->usage();
  answer.obstacle = found->second->obstacle();
  answer.refused = found->second->refused();
  log_info("{}: closed after {} requests, {}", message.attempt_id, answer.usage.requests,
           format_usd(answer.usage.cost_nanousd));
  // Whoever closes may read the transcript then; but no disk may hold a kill up.
  struct late_answer {
    control_message message;
    boost::asio::steady_timer longest;
    bool sent = false;
  };
  const auto late = std::make_shared<late_answer>(
      late_answer{std::move(answer), boost::asio::steady_timer(parts_.context), false});
  const auto send_once = [this, late] {
    if (!std::exchange(late->sent, true)) send(late->message, false);
    late->longest.cancel();
  };
  late->longest.expires_after(longest_wait_for_transcript);
  late->longest.async_wait([send_once, late](boost::system::error_code) { send_once(); });
  found->second->close_record(
      [&context = parts_.context, send_once] { boost::asio::post(context, send_once); });
  attempts_.erase(found);
}

void gateway::send(const control_message& message, bool may_drop) {
  if (stopped_) return;
  if (may_drop && outbox_.size() >= max_outbox) return;  // the node does not read
  outbox_.push_back(encode(message));
  if (!writing_) flush();
}

void gateway::flush() {
  while (!outbox_.empty()) {
    const auto sent = send_packet(control_.native_handle(), outbox_.front());
    if (!sent && sent.error().code() == error_code::unavailable) {
      writing_ = true;
      control_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                          [this](boost::system::error_code failed) {
                            writing_ = false;
                            if (!failed && !stopped_) flush();
                          });
      return;
    }
    if (!sent) return stop(sent.error().message());
    outbox_.pop_front();
  }
}

void gateway::stop(std::string_view why) {
  if (stopped_) return;
  stopped_ = true;
  log_info("stopping: {}", why);
  for (const auto& [attempt_id, one] : attempts_) one->cut();
  parts_.context.stop();
}

}  // namespace germline::worker
