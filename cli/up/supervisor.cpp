#include "cli/up/supervisor.hpp"

#include <sys/wait.h>
#include <unistd.h>

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
      : plan_(plan), events_(events), time_(time), began_ms_(time.boot_ms()) {}

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
      // The first worker waits for the first coordinator; later it reconnects by itself.
      if (answers_ || answered_once_) GERMLINE_TRY(keep(worker_));
      if (!was_ready_) GERMLINE_TRY(look_for_worker());
    }
  }

  /// The worker first: it ends its sandboxes and says so to the coordinator.
  void end() {
    probe_ = {};
    worker_probe_ = {};
    end_child(worker_);
    end_child(coordinator_);
  }

 private:
  /// Starts the child when it is due; takes note when it has died.
  result<void> keep(watched_child& child) {
    const auto now_ms = time_.boot_ms();
    if (const auto status = child.process.ended()) {
      const auto delay_ms = next_start_delay_ms(child.restarts, now_ms - child.started_ms);
      // One that was killed has said nothing about that.
      const auto why = WIFEXITED(*status) ? last_words(child.spec.log_path, child.log_begin) : "";
      const auto what = child.spec.name + " ended with " + wait_status_words(*status) +
                        (why.empty() ? "" : ": " + why);
      if (is_refusal(*status)) return error(error_code::failed_precondition, what);
      const auto see = ", see " + child.spec.log_path;
      if (!delay_ms) return error(error_code::internal, "again and again, " + what + see);
      events_.announce(what + "; it is started again" + see);
      child.start_at_ms = now_ms + *delay_ms;
    }
    if (child.process.running() || now_ms < child.start_at_ms) return {};
    if (&child == &coordinator_) GERMLINE_TRY(clear_dead_socket(plan_.socket_path));
    child.log_begin = size_of(child.spec.log_path);
    GERMLINE_TRY_ASSIGN(child.process, child_process::start(child.spec));
    child.started_ms = now_ms;
    return {};
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
    answers_ = true;
    if (!plan_.socket_path.empty() &&
        ::chown(plan_.socket_path.c_str(), plan_.socket_owner, static_cast<gid_t>(-1)) != 0) {
      return errno_error("giving " + plan_.socket_path + " to the worker", errno);
    }
    if (answered_once_) events_.announce("coordinator answers again");
    answered_once_ = true;
    return {};
  }

  /// One probe at a time; when one ends well all is ready.
  result<void> look_for_worker() {
    const auto status = worker_probe_.ended();
    if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0 && worker_.process.running()) {
      was_ready_ = true;
      events_.ready();
      return {};
    }
    if (time_.boot_ms() - began_ms_ > plan_.ready_limit_ms) {
      const auto seconds = std::to_string(plan_.ready_limit_ms / 1'000) + " s, see ";
      return error(
          error_code::deadline_exceeded,
          answered_once_
              ? "the worker did not join within " + seconds + plan_.worker.log_path
              : "the coordinator did not answer within " + seconds + plan_.coordinator.log_path);
    }
    if (answers_ && worker_.process.running() && !worker_probe_.running()) {
      GERMLINE_TRY_ASSIGN(worker_probe_, child_process::start(plan_.worker_probe));
    }
    return {};
  }

  void end_child(watched_child& child) {
    child.process.signal(SIGTERM);
    const auto limit_ms = time_.boot_ms() + stop_limit_ms;
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
  watched_child worker_{plan_.worker};
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
