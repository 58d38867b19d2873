#include "cli/up/up.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/up/restart_policy.hpp"
#include "cli/up/up_lock.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

class folder {
 public:
  folder() {
    std::string name = "/tmp/germline-up-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() { fs::remove_all(path_); }
  std::string at(const std::string& name) const { return path_ + "/" + name; }
  std::string text(const std::string& name) const {
    std::ifstream in(at(name));
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }

 private:
  std::string path_;
};

child_spec shell(const std::string& name, const std::string& script) {
  child_spec spec;
  spec.name = name;
  spec.words = {"/bin/sh", "-c", script};
  return spec;
}

/// Waits at most 10 s until the file has as many lines.
bool wait_for_lines(const folder& place, const std::string& name, long lines) {
  for (int i = 0; i < 1000; ++i) {
    const auto text = place.text(name);
    if (std::count(text.begin(), text.end(), '\n') >= lines) return true;
    ::usleep(10'000);
  }
  return false;
}

bool exists(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

/// Supervises in a child of the test's own, so that signals can be sent to it.
/// What it announces, and its error, goes to the file `told`; that all is ready to `told`.ready.
pid_t supervise_aside(const supervisor_plan& plan, const std::string& told) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const system_clock_source time;
  std::ofstream out(told);
  supervisor_events events;
  events.ready = [&] { std::ofstream(told + ".ready") << "ready\n"; };
  events.announce = [&](const std::string& text) { out << text << std::endl; };
  const auto ended = supervise(plan, events, time);
  if (!ended) out << ended.error().message() << std::endl;
  ::_exit(ended ? 0 : 1);
}

int wait_code(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A service that writes its pid when it starts and its name when it is told to end.
std::string service_script(const folder& place, const std::string& name) {
  return "trap 'echo " + name + " >> " + place.at("ends") + "; exit 0' TERM; echo $$ >> " +
         place.at(name) + "; while :; do sleep 0.05; done";
}

supervisor_plan plan_in(const folder& place) {
  supervisor_plan plan;
  plan.coordinator = shell("coordinator", service_script(place, "coordinator"));
  plan.workers = {shell("worker", service_script(place, "worker"))};
  plan.probe = shell("probe", "test -s " + place.at("coordinator"));
  plan.worker_probe = shell("worker probe", "test -s " + place.at("worker"));
  return plan;
}

}  // namespace

TEST_CASE("deaths in a row are answered more and more slowly, and then no more") {
  restart_state state;
  CHECK(next_start_delay_ms(state, 10, false) == 250);
  CHECK(next_start_delay_ms(state, 10, false) == 500);
  CHECK(next_start_delay_ms(state, lived_long_ms, false) == 250);
  for (const std::int64_t delay_ms : {500, 1'000, 2'000, 4'000}) {
    CHECK(next_start_delay_ms(state, 10, false) == delay_ms);
  }
  CHECK(!next_start_delay_ms(state, 10, false));
  for (int i = 0; i < 100; ++i) CHECK(*next_start_delay_ms(state, 10, true) == 8'000);
  CHECK(*next_start_delay_ms(state, lived_long_ms, true) == 250);
}

TEST_CASE("services end in order on SIGTERM: the worker, then the coordinator") {
  folder place;
  const auto pid = supervise_aside(plan_in(place), place.at("told"));
  REQUIRE(wait_for_lines(place, "worker", 1));
  ::kill(pid, SIGTERM);
  CHECK(wait_code(pid) == 0);
  CHECK(place.text("ends") == "worker\ncoordinator\n");
}

TEST_CASE("all is ready when the worker has joined, and not before") {
  folder place;
  auto plan = plan_in(place);
  plan.worker_probe = shell("worker probe", "test -e " + place.at("joined"));
  const auto pid = supervise_aside(plan, place.at("told"));
  REQUIRE(wait_for_lines(place, "worker", 1));
  ::usleep(500'000);
  CHECK(!fs::exists(place.at("told.ready")));
  std::ofstream(place.at("joined")) << "\n";
  CHECK(wait_for_lines(place, "told.ready", 1));
  ::kill(pid, SIGTERM);
  CHECK(wait_code(pid) == 0);
}

TEST_CASE("a worker that does not join in time ends all of it, with its log's name") {
  folder place;
  auto plan = plan_in(place);
  plan.worker_probe = shell("worker probe", "exit 1");
  plan.workers[0].log_path = place.at("worker.log");
  plan.ready_limit_ms = 1'000;
  CHECK(wait_code(supervise_aside(plan, place.at("told"))) == 1);
  CHECK(place.text("told") ==
        "the worker did not join within 1 s, see " + place.at("worker.log") + "\n");
  CHECK(place.text("ends") == "worker\ncoordinator\n");
  CHECK(!fs::exists(place.at("told.ready")));
}

TEST_CASE("up.pid is its holder's, goes with it, and leads `down` to nobody else") {
  folder place;
  const system_clock_source time;
  const auto state = place.at("");
  CHECK(find_up(state, time).error().code() == error_code::not_found);
  // Left behind by one that was killed; its number is another process's by now.
  std::ofstream(place.at("up.pid")) << ::getpid() << "\n";
  CHECK(find_up(state, time).error().code() == error_code::not_found);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    sigset_t ends;
    ::sigemptyset(&ends);
    ::sigaddset(&ends, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &ends, nullptr);
    {
      const auto lock = up_lock::take(state);
      const bool written = lock && lock->write_pid();
      if (!written || ::write(ready[1], "1", 1) != 1) ::_exit(1);
      int number = 0;
      ::sigwait(&ends, &number);
    }
    ::_exit(0);
  }
  char word = 0;
  REQUIRE(::read(ready[0], &word, 1) == 1);
  CHECK(up_lock::take(state).error().code() == error_code::failed_precondition);
  CHECK(fs::exists(place.at("up.pid")));  // the refused one has left it
  const auto up = find_up(state, time);
  REQUIRE(up);
  CHECK(up->pid == holder);
  CHECK(end_up(*up, 10'000, time));
  CHECK(wait_code(holder) == 0);
  CHECK(!fs::exists(place.at("up.pid")));
  CHECK(end_up(*up, 10'000, time));  // it has ended
  // Held by somebody that the file does not name.
  const auto lock = up_lock::take(state);
  REQUIRE(lock);
  std::ofstream(place.at("up.pid")) << ::getppid() << "\n";
  CHECK(find_up(state, time).error().code() == error_code::failed_precondition);
}

TEST_CASE("a child that was killed is started again, and none outlives the supervisor") {
  folder place;
  const auto pid = supervise_aside(plan_in(place), place.at("told"));
  REQUIRE(wait_for_lines(place, "worker", 1));
  const pid_t first = std::stoi(place.text("worker"));
  ::kill(first, SIGKILL);
  REQUIRE(wait_for_lines(place, "worker", 2));
  const pid_t coordinator = std::stoi(place.text("coordinator"));
  REQUIRE(exists(coordinator));
  // Not asked to end: killed. The kernel tells the children.
  ::kill(pid, SIGKILL);
  wait_code(pid);
  CHECK(wait_for_lines(place, "ends", 2));
}

TEST_CASE("a service that cannot start ends all of it with an error") {
  folder place;
  auto plan = plan_in(place);
  plan.worker_probe = shell("worker probe", "exit 1");
  plan.workers[0] =
      shell("worker", "echo $$ >> " + place.at("worker") + "; echo 'a file is missing'; exit 7");
  plan.workers[0].log_path = place.at("log");
  const auto pid = supervise_aside(plan, place.at("told"));
  CHECK(wait_code(pid) == 1);
  const auto told = place.text("told");
  CHECK(told.find("worker ended with exit code 7: a file is missing; it is started again") == 0);
  CHECK(told.find("again and again, worker ended with exit code 7: a file is missing, see ") !=
        std::string::npos);
  const auto starts = place.text("worker");
  CHECK(std::count(starts.begin(), starts.end(), '\n') == most_quick_deaths);
  CHECK(place.text("ends") == "coordinator\n");
}

TEST_CASE("of a service's log its last errors are told, of this life of it alone") {
  folder place;
  auto plan = plan_in(place);
  plan.worker_probe = shell("worker probe", "exit 1");
  std::ofstream(place.at("log")) << "2026-11-28T03:12:09.001Z worker error: of a former life\n";
  plan.workers[0] = shell("worker",
                          "echo '2026-11-28T03:12:09.001Z worker info: begins'; "
                          "echo '2026-11-28T03:12:09.001Z gateway error: no such file: x.toml'; "
                          "echo 'germline: the gateway is gone'; exit 5");
  plan.workers[0].log_path = place.at("log");
  CHECK(wait_code(supervise_aside(plan, place.at("told"))) == 1);
  CHECK(place.text("told") ==
        "worker ended with exit code 5: gateway error: no such file: x.toml; the gateway is gone, "
        "see " +
            place.at("log") + "\n");
}

TEST_CASE("a service that is refused is not started again") {
  folder place;
  auto plan = plan_in(place);
  plan.worker_probe = shell("worker probe", "exit 1");
  plan.workers[0] = shell("worker", "echo $$ >> " + place.at("worker") + "; exit 5");
  CHECK(wait_code(supervise_aside(plan, place.at("told"))) == 1);
  const auto starts = place.text("worker");
  CHECK(std::count(starts.begin(), starts.end(), '\n') == 1);
}

TEST_CASE("mirrors reach the worker") {
  config_sources sources;
  sources.environment = [](std::string_view) -> std::optional<std::string> { return {}; };
  sources.flags = {{"worker.mirrors", "npm=https://mirror.example"},
                   {"worker.mirrors_config", "/etc/mirrors.toml"}};
  const auto plan = plan_of(*config::load(sources), "/bin/germline", {""});
  const auto& with = plan.workers.at(0).with;
  for (const auto* wanted : {"GERMLINE_WORKER_MIRRORS=npm=https://mirror.example",
                             "GERMLINE_WORKER_MIRRORS_CONFIG=/etc/mirrors.toml"}) {
    CHECK(std::count(with.begin(), with.end(), wanted) == 1);
  }
}

TEST_CASE("keys reach the worker and not the coordinator") {
  config_sources sources;
  sources.environment = [](std::string_view) -> std::optional<std::string> { return {}; };
  sources.is_root = true;
  const auto plan = plan_of(*config::load(sources), "/bin/germline", {""});
  REQUIRE(plan.workers.size() == 1);
  const auto& hidden_from_worker = plan.workers[0].without;
  CHECK(std::count(hidden_from_worker.begin(), hidden_from_worker.end(), "ANTHROPIC_API_KEY") == 0);
  // The coordinator's account cannot read the caller's home.
  CHECK(std::count(plan.coordinator.without.begin(), plan.coordinator.without.end(), "HOME") == 1);
  CHECK(std::count(plan.coordinator.without.begin(), plan.coordinator.without.end(),
                   "ANTHROPIC_API_KEY") == 1);
  CHECK(plan.coordinator.uid != 0);
  CHECK(plan.coordinator.uid != plan.socket_owner);
  CHECK(plan.socket_path == "/run/germline/control.sock");

  folder place;
  auto spec = shell("x", "echo \"${GERMLINE_TEST_KEY-none}\"");
  spec.log_path = place.at("log");
  ::setenv("GERMLINE_TEST_KEY", "secret", 1);  // NOLINT(concurrency-mt-unsafe)
  for (const bool hidden : {false, true}) {
    if (hidden) spec.without = {"GERMLINE_TEST_KEY"};
    auto child = child_process::start(spec);
    REQUIRE(child);
    while (!child->ended()) ::usleep(1'000);
  }
  spec.with = {"GERMLINE_TEST_KEY=other"};
  auto child = child_process::start(spec);
  REQUIRE(child);
  while (!child->ended()) ::usleep(1'000);
  CHECK(place.text("log") == "secret\nnone\nother\n");
}

TEST_CASE("once all was ready, a service that dies again and again is started again and again") {
  folder place;
  auto plan = plan_in(place);
  // It works as long as there is room, and is refused, as by a full disk, while there is none.
  plan.coordinator = shell("coordinator", "test -e " + place.at("full") + " && { echo died >> " +
                                              place.at("died") + "; exit 5; }; " +
                                              service_script(place, "coordinator"));
  const auto pid = supervise_aside(plan, place.at("told"));
  REQUIRE(wait_for_lines(place, "told.ready", 1));
  std::ofstream(place.at("full")) << "\n";
  ::kill(std::stoi(place.text("coordinator")), SIGKILL);
  REQUIRE(wait_for_lines(place, "died", 4));
  fs::remove(place.at("full"));
  CHECK(wait_for_lines(place, "coordinator", 2));
  CHECK(exists(pid));
  ::kill(pid, SIGTERM);
  CHECK(wait_code(pid) == 0);
}

TEST_CASE("several workers are kept and ended, each with what is its own") {
  folder place;
  auto plan = plan_in(place);
  plan.workers.push_back(shell("worker-2", service_script(place, "worker-2")));
  const auto pid = supervise_aside(plan, place.at("told"));
  REQUIRE(wait_for_lines(place, "worker", 1));
  REQUIRE(wait_for_lines(place, "worker-2", 1));
  ::kill(std::stoi(place.text("worker-2")), SIGKILL);
  CHECK(wait_for_lines(place, "worker-2", 2));
  ::kill(pid, SIGTERM);
  CHECK(wait_code(pid) == 0);
  const auto ends = place.text("ends");
  CHECK(std::count(ends.begin(), ends.end(), '\n') == 3);
  CHECK(ends.ends_with("coordinator\n"));
}

TEST_CASE("the uids of several workers lie beside each other and end within 32 bits") {
  config_sources sources;
  std::string base = "1879048192";
  sources.environment = [&](std::string_view name) -> std::optional<std::string> {
    if (name == "GERMLINE_UID_BASE") return base;
    if (name == "GERMLINE_WORKER_TAGS") return "gpu";
    return {};
  };
  sources.is_root = true;
  const auto settings = *config::load(sources);
  const auto plan = plan_of(settings, "/bin/germline", {"", "two.toml", ""});
  REQUIRE(plan.workers.size() == 3);
  const auto has = [](const std::vector<std::string>& words, const std::string& word) {
    return std::count(words.begin(), words.end(), word) == 1;
  };
  CHECK(plan.workers[0].log_path == "/var/lib/germline/logs/worker.log");
  CHECK(plan.workers[1].log_path == "/var/lib/germline/logs/worker-2.log");
  CHECK(has(plan.workers[0].words, "/var/lib/germline/worker"));
  CHECK(has(plan.workers[2].words, "/var/lib/germline/worker-3"));
  CHECK(has(plan.workers[1].words, "two.toml"));
  CHECK(has(plan.workers[0].with, "GERMLINE_UID_BASE=1879048192"));
  CHECK(has(plan.workers[1].with, "GERMLINE_UID_BASE=1887502336"));
  CHECK(has(plan.workers[2].with, "GERMLINE_WORKER_TAGS=gpu"));
  CHECK(plan.socket_group == 1'879'048'196);
  for (const auto& each : plan.workers) {
    CHECK(has(each.words, "--socket-group"));
    CHECK(has(each.words, "1879048196"));
  }
  // 64 slots with two sandboxes each, and the uids of the services beneath them.
  CHECK(uid_base_of(settings, 1) - uid_base_of(settings, 0) == 65'536LL * 129);
  CHECK(plan_of(settings, "/bin/germline", {""}).socket_group == 0);
  CHECK(check_uid_room(settings, 16));
  base = "4200000000";
  const auto high = *config::load(sources);
  CHECK(check_uid_room(high, 1));
  const auto refused = check_uid_room(high, 16);
  REQUIRE(!refused);
  CHECK(refused.error().code() == error_code::invalid_argument);
  CHECK(refused.error().message().find("set GERMLINE_UID_BASE to 4159635456 or less") !=
        std::string::npos);
  base = "4159635456";
  CHECK(check_uid_room(*config::load(sources), 16));
}

}  // namespace germline::cli
