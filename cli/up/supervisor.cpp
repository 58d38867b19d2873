#include "cli/up/supervisor.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "cli/exit_code.hpp"
#include "cli/up/restart_policy.hpp"
#include "common/log.hpp"
#include "common/unix_socket.hpp"

namespace germline::cli {
namespace {

constexpr std::int64_t tick_ms = 100;
constexpr std::int64_t stop_limit_ms = 30'000;

sigset_t watched_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD}) ::sigaddset(&set, number);
  return set;
}

/// Waits for a tick or a signal; whether it was one that asks for the end.
bool asked_to_end() {
  const auto set = watched_signals();
  const timespec limit{0, tick_ms * 1'000'000};
  const int number = ::sigtimedwait(&set, nullptr, &limit);
  return number == SIGINT || number == SIGTERM;
}

std::uintmax_t size_of(const std::string& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  return failed ? 0 : size;
}

/// "2026-11-28T03:12:09.001Z gateway error: why" without its time; "germline: why" without the
/// name.
std::string_view without_time(std::string_view line) {
  constexpr std::string_view ours = "germline: ";
  if (line.starts_with(ours)) return line.substr(ours.size());
  const auto end = line.find(' ');
  const bool timed = end != std::string_view::npos && end > 10 && line[end - 1] == 'Z' &&
                     line[4] == '-' && line[10] == 'T';
  return timed ? line.substr(end + 1) : line;
}

/// Why a service ended, as its log has it from `begin` on: its last line, and before that the last
/// errors that it or a process of its own told.
std::string last_words(const std::string& log_path, std::uintmax_t begin) {
  constexpr std::size_t most_errors = 2;
  std::ifstream log(log_path);
  if (begin <= size_of(log_path)) log.seekg(static_cast<std::streamoff>(begin));  // else put aside
  std::deque<std::string> errors;
  std::string last;
  for (std::string line; std::getline(log, line);) {
    if (line.empty()) continue;
    last = without_time(line);
    if (last.size() == line.size() || last.find(" error: ") == std::string::npos) continue;
    errors.push_back(last);
    if (errors.size() > most_errors) errors.pop_front();
  }
  std::string words;
  for (const auto& each : errors) {
    if (each != last) words += each + "; ";
  }
  return printable(words + last);
}

/// Whether it ended because it was asked for something wrong, or refused: so it will again.
bool is_refusal(int status) {
  return WIFEXITED(status) && (WEXITSTATUS(status) == static_cast<int>(exit_code::usage) ||
                               WEXITSTATUS(status) == static_cast<int>(exit_code::refused));
}

struct watched_child {
  explicit watched_child(const child_spec& what) : spec(what) {}
  const child_spec& spec;
  child_process process;
  restart_state restarts;
  std::int64_t started_ms = 0;
  std::int64_t start_at_ms = 0;
  std::uintmax_t log_begin = 0;  // of what this life of it has written
};

class supervision {
 public:
  supervision(const supervisor_plan& plan, const supervisor_events& events, const clock& time)
      : plan_(plan), events_(events), time_(time), began_ms_(time.boot_ms()) {
    for (const auto& each : plan.workers) workers_.emplace_back(each);
  }

  result<void> run() {
    while (true) {
      if (asked_to_end()) return {};
      GERMLINE_TRY(keep(coordinator_));
      if (!coordinator_.process.running()) {
        answers_ = false;
        answers_in_row_ = 0;
        probe_ = {};
      } else if (!answers_) {
        GERMLINE_TRY(ask());
      }
      // Workers wait for the first coordinator; later they reconnect by themselves.
      for (auto& worker : workers_) {
        if (answers_ || answered_once_) GERMLINE_TRY(keep(worker));
      }
      if (!was_ready_) GERMLINE_TRY(look_for_worker());
    }
  }

  /// The workers first: they end their sandboxes and say so to the coordinator.
  void end() {
    probe_ = {};
    worker_probe_ = {};
    for (auto& worker : workers_) worker.process.signal(SIGTERM);
    const auto limit_ms = time_.boot_ms() + stop_limit_ms;
    for (auto& worker : workers_) await_end(worker, limit_ms);
    coordinator_.process.signal(SIGTERM);
    await_end(coordinator_, time_.boot_ms() + stop_limit_ms);
  }

 private:
  /// Starts the child when it is due; takes note when it has died.
  result<void> keep(watched_child& child) {
    const auto now_ms = time_.boot_ms();
    if (const auto status = child.process.ended()) {
      const auto delay_ms =
          next_start_delay_ms(child.restarts, now_ms - child.started_ms, was_ready_);
      // One that was killed has said nothing about that.
      const auto why = WIFEXITED(*status) ? last_words(child.spec.log_path, child.log_begin) : "";
      const auto what = child.spec.name + " ended with " + wait_status_words(*status) +
                        (why.empty() ? "" : ": " + why);
      const auto see = ", see " + child.spec.log_path;
      if (is_refusal(*status) && !was_ready_) {
        return error(error_code::failed_precondition, what + see);
      }
      if (!delay_ms) return error(error_code::internal, "again and again, " + what + see);
      events_.announce(what + "; it is started again" + see);
      child.start_at_ms = now_ms + *delay_ms;
    }
    if (child.process.running() || now_ms < child.start_at_ms) return {};
    child.log_begin = size_of(child.spec.log_path);
    auto started = begin(child);
    if (!started && !was_ready_) return started.error();
    if (!started) {
      child.start_at_ms = now_ms + *next_start_delay_ms(child.restarts, 0, true);
      events_.announce(child.spec.name + " is not started: " + started.error().message() +
                       "; it is tried again");
      return {};
    }
    child.process = std::move(*started);
    child.started_ms = now_ms;
    return {};
  }

  result<child_process> begin(const watched_child& child) const {
    if (&child == &coordinator_) GERMLINE_TRY(clear_dead_socket(plan_.socket_path));
    return child_process::start(child.spec);
  }

  /// One probe at a time; when one ends well the coordinator answers.
  result<void> ask() {
    const auto status = probe_.ended();
    if (!status) {
      if (!probe_.running()) {
        GERMLINE_TRY_ASSIGN(probe_, child_process::start(plan_.probe));
      }
      return {};
    }
    const bool well = WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
    // Twice: at the first answer the coordinator may still be setting its socket's mode.
    answers_in_row_ = well ? answers_in_row_ + 1 : 0;
    if (answers_in_row_ < 2) return {};
    if (!give_socket()) {
      const int why = errno;
      answers_in_row_ = 0;
      if (was_ready_ || why == ENOENT) return {};  // it has ended meanwhile
      return errno_error("giving " + plan_.socket_path + " to the worker", why);
    }
    answers_ = true;
    if (answered_once_) events_.announce("coordinator answers again");
    answered_once_ = true;
    return {};
  }

  bool give_socket() const {
    const auto* path = plan_.socket_path.c_str();
    if (plan_.socket_path.empty()) return true;
    if (plan_.socket_group == 0) {
      return ::chown(path, plan_.socket_owner, static_cast<gid_t>(-1)) == 0;
    }
    return ::chown(path, plan_.socket_owner, plan_.socket_group) == 0 && ::chmod(path, 0660) == 0;
  }

  bool workers_run() const {
    return std::ranges::all_of(workers_, [](const auto& each) { return each.process.running(); });
  }

  /// One probe at a time; when one ends well all is ready.
  result<void> look_for_worker() {
    const auto status = worker_probe_.ended();
    if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0 && workers_run()) {
      was_ready_ = true;
      events_.ready();
      return {};
    }
    if (time_.boot_ms() - began_ms_ > plan_.ready_limit_ms) {
      const auto seconds = std::to_string(plan_.ready_limit_ms / 1'000) + " s, see ";
      return error(
          error_code::deadline_exceeded,
          answered_once_
              ? (workers_.size() == 1 ? "the worker did not join within "
                                      : "the workers did not all join within ") +
                    seconds + worker_logs()
              : "the coordinator did not answer within " + seconds + plan_.coordinator.log_path);
    }
    if (answers_ && workers_run() && !worker_probe_.running()) {
      GERMLINE_TRY_ASSIGN(worker_probe_, child_process::start(plan_.worker_probe));
    }
    return {};
  }

  std::string worker_logs() const {
    std::string paths;
    for (const auto& each : plan_.workers) paths += (paths.empty() ? "" : ", ") + each.log_path;
    return paths;
  }

  void await_end(watched_child& child, std::int64_t limit_ms) {
    while (child.process.running() && !child.process.ended()) {
      // A second request for the end is in a hurry.
      if (asked_to_end() || time_.boot_ms() > limit_ms) {
        events_.announce(child.spec.name + " does not end; it is killed");
        child.process = {};
        return;
      }
    }
  }

  const supervisor_plan& plan_;
  const supervisor_events& events_;
  const clock& time_;
  watched_child coordinator_{plan_.coordinator};
  std::deque<watched_child> workers_;
  child_process probe_;
  child_process worker_probe_;
  const std::int64_t began_ms_;
  bool answers_ = false;
  int answers_in_row_ = 0;
  bool answered_once_ = false;
  bool was_ready_ = false;
};

}  // namespace

result<void> clear_dead_socket(const std::string& path) {
  if (path.empty()) return {};
  GERMLINE_TRY_ASSIGN(const auto life, probe_unix_socket(path));
  if (life == socket_life::alive) {
    return error(error_code::failed_precondition,
                 "another coordinator listens on " + path +
                     "; end it, or give this one another socket by --coordinator unix:/...");
  }
  if (life == socket_life::dead && ::unlink(path.c_str()) != 0) {
    return errno_error("removing " + path, errno);
  }
  return {};
}

result<void> supervise(const supervisor_plan& plan, const supervisor_events& events,
                       const clock& time) {
  const auto set = watched_signals();
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return errno_error("sigprocmask", errno);
  supervision running(plan, events, time);
  auto outcome = running.run();
  running.end();
  return outcome;
}

}  // namespace germline::cli
