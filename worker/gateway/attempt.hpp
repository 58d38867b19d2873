// attempt: one attempt's door at the gateway: its listener, its token, its budget, its transcript
// and the sessions (connections) under way. Cutting it ends all of that at once and accounts for
// what was under way by its bound. Not a judge of requests: session and messages_api are.
// Held by the gateway and by its sessions; everything runs on the io_context's one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "worker/gateway/account_journal.hpp"
#include "worker/gateway/budget.hpp"
#include "worker/gateway/config.hpp"
#include "worker/gateway/heap_trimmer.hpp"
#include "worker/gateway/held_bytes.hpp"
#include "worker/gateway/loop_types.hpp"
#include "worker/gateway/prices.hpp"
#include "worker/gateway/rate_window.hpp"
#include "worker/gateway/transcript_writer.hpp"
#include "worker/gateway/upstream.hpp"
#include "worker/gateway/upstream_roster.hpp"

namespace germline::worker {

class gateway_metrics;
class replay_upstream;
class session;

/// What all attempts share; outlives them.
struct gateway_parts {
  boost::asio::io_context& context;
  const gateway_config& config;
  const clock& time;
  random_source& random;
  upstream_roster& roster;
  const std::vector<std::unique_ptr<upstream>>& upstreams;  // as in config
  transcript_writer& transcripts;
  byte_pool& bodies;  // of all attempts
  heap_trimmer& trimmer;
  const std::vector<std::string>& secrets;  // that no answer may show (secret_filter)
  replay_upstream* recorded = nullptr;      // of `upstreams`; null where no transcripts are
  gateway_metrics* metrics = nullptr;       // null: they are not wanted
  std::string journals_directory = {};      // of accounts; empty: none are kept
  std::string boot_id = {};                 // that they are of
  /// Names of variables (`key_env`) that held no key when the gateway began.
  std::set<std::string> missing_keys = {};
};

/// What an attempt tells its owner. Called on the io_context's thread.
struct attempt_reports {
  /// After each request; `problem` says why it failed, and is empty where it did not.
  std::function<void(const std::string& attempt_id, const gateway_usage& usage,
                     const std::string& problem)>
      usage;
  std::function<void(const std::string& attempt_id, std::string event_json)> event;
};

struct attempt_settings {
  std::string attempt_id;
  std::string token;
  bool open_to_anyone = false;  // no token is asked for
  std::string model;
  price_schedule prices;  // of which one is in effect when the attempt begins
  gateway_limits limits;
  std::int64_t deadline_boot_ms = 0;
  bool is_replayed = false;  // by a transcript, and no other upstream

  /// What its upstreams are looked for by.
  std::string_view served_by() const {
    return is_replayed ? recorded_attempts : std::string_view(model);
  }
};

class attempt : public std::enable_shared_from_this<attempt> {
 public:
  /// REQUIRES that `listener` is a listening TCP socket.
  static std::shared_ptr<attempt> make(gateway_parts& parts, attempt_settings settings,
                                       transcript record, account_journal journal,
                                       attempt_reports reports, tcp_listener listener);

  void start();
  /// Ends everything; usage() is final after it. May be called again.
  void cut();
  /// False when the deadline has passed: that is final.
  bool renew(std::int64_t deadline_boot_ms);

  /// Whether requests may go out now. Cuts the streams when the deadline has passed.
  bool alive();
  const gateway_usage& usage() const { return budget_.settled; }
  const model_obstacle& obstacle() const { return obstacle_; }
  const attempt_settings& settings() const { return settings_; }
  /// What the model costs now.
  const model_price& price() const;
  gateway_parts& parts() { return parts_; }
  /// In constant time. Any does where the attempt is open to anyone.
  bool token_fits(std::string_view shown) const;

  /// `is_cap_put_in`: of the output, by the gateway, which is told where that is too much.
  budget_effect reserve(const request_bound& bound, std::uint64_t& id, bool is_cap_put_in = false);
  /// Whether reserve() would grant it now, with `instead_of`, if it is given, released.
  bool would_grant(const request_bound& bound,
                   const std::optional<std::uint64_t>& instead_of) const;
  void settle(std::uint64_t id, const token_counts& tokens, std::int64_t cost_nanousd);
  /// After settle(): what the upstream told on top.
  void settle_more(const token_counts& tokens, std::int64_t cost_nanousd);
  void forfeit(std::uint64_t id, const std::string& problem);
  void release(std::uint64_t id, const std::string& problem);
  /// A request got no answer through no fault of its own. Stands until the next one is granted.
  void obstructed(const std::string& why, obstacle_kind by = obstacle_kind::upstream) {
    obstacle_ = {by, why, spent_limit::none};
  }
  void record(transcript_entry entry);
  /// Of an entry that is recorded later, by that id. False: hold it until then.
  bool record_request(std::uint64_t id, std::shared_ptr<const std::string> text);
  /// Has the sessions try again soon, whose requests found no room.
  void record_requests_later();
  /// Whether what record() gets is written anywhere.
  bool records() const { return records_; }
  /// After cut(): calls `done`, on another thread, when the transcript is written.
  void close_record(std::function<void()> done);
  /// Requests that are refused have a rate of their own, the same as requests that go out. 0: one
  /// more may be judged now.
  std::int64_t refusal_wait_ms() { return refusals_.wait_ms(parts_.time.boot_ms()); }
  void note_refusal() { refusals_.note(parts_.time.boot_ms()); }
  /// A request that the gateway itself answered with an error.
  void count_refused() { ++refused_; }
  std::int64_t refused() const { return refused_; }
  /// What the bodies of its requests and answers may hold of memory.
  byte_pool& bodies() { return bodies_; }
  /// Forwards an event; false: too many.
  bool report_event(std::string event_json);

  void joined(session* one) { sessions_.insert(one); }
  void left(session* one) { sessions_.erase(one); }

 private:
  attempt(gateway_parts& parts, attempt_settings settings, transcript record,
          account_journal journal, attempt_reports reports, tcp_listener listener);
  budget_effect account(const budget_event& event);
  void warn_of_more(std::string_view what);
  void accept_next();
  void watch_deadline();
  void cut_sessions();

  gateway_parts& parts_;
  attempt_settings settings_;
  std::shared_ptr<transcript_writer::record> record_;
  const bool records_;  // record_ is the writer's thread's as well
  attempt_reports reports_;
  tcp_listener listener_;
  loop_timer deadline_timer_;
  loop_timer accept_pause_;
  loop_timer record_timer_;
  account_journal journal_;
  std::set<session*> sessions_;
  budget_state budget_;
  model_obstacle obstacle_;
  rate_window refusals_;
  byte_pool bodies_;
  std::int64_t refused_ = 0;
  std::uint64_t next_reservation_ = 1;
  std::int64_t events_ = 0;
  std::int64_t event_allowance_ = 0;  // a bucket that fills by the clock
  std::int64_t event_filled_ms_ = 0;
  bool cut_ = false;
  bool expired_ = false;
  bool is_warned_of_more_ = false;
  bool records_later_ = false;
};

}  // namespace germline::worker
