// E. Signals, time, death: a sandbox ends when it must, and leaves nothing.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include <atomic>
#include <fstream>
#include <thread>

#include "common/clock.hpp"
#include "sandbox/native_sandbox.hpp"
#include "tests/abuse/fixture.hpp"

namespace germline::abuse {
namespace {

std::unique_ptr<native_backend> own_backend(const native_options& options) {
  require_root();
  auto made = native_backend::start(options);
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message()));
  return std::move(*made);
}

/// Starts something that outlives its parent, and checks that it is there.
void start_daemon(sandbox& where, const native_options& options) {
  REQUIRE(act(where, "daemon").outcome.succeeded());
  REQUIRE(host_processes(options).size() >= 2);  // it and init
}

}  // namespace

TEST_CASE("E52 kill(-1) reaches nothing outside, and not init") {
  const auto where = prepare(small_policy());
  const auto other = prepare(small_policy());
  const auto sleeping = other->start(command({"sleep", "30"}));
  REQUIRE(sleeping.has_value());
  act(*where, "kill", "-1");
  CHECK(act(*where, "kill", "1").out.head == "EPERM\n");
  CHECK(shell(*where, "echo alive").out.head == "alive\n");
  CHECK(other->wait(*sleeping, 50).error().code() == error_code::deadline_exceeded);
}

TEST_CASE("E53 daemons die with their sandbox, which leaves nothing") {
  const auto options = test_options("abuse-daemon");
  const auto backend = own_backend(options);
  const auto mounts = host_mount_count();
  const auto where = prepare_on(*backend, small_policy());
  start_daemon(*where, options);
  CHECK_FALSE(host_cgroups(options).empty());
  const auto report = where->kill();
  REQUIRE(report.has_value());
  CHECK(report->proven);
  CHECK(host_processes(options).empty());
  CHECK(host_cgroups(options).empty());
  CHECK(host_mount_count() == mounts);
  const auto again = where->kill();
  REQUIRE(again.has_value());
  CHECK(again->proven);
  const auto late = where->start(command({"true"}));
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().code() == error_code::failed_precondition);
  CHECK(where->read_usage().has_value());
  CHECK(where->destroy().has_value());
  CHECK(where->destroy().has_value());
}

TEST_CASE("E54 kill while another thread waits") {
  const auto where = prepare(small_policy());
  const auto process = where->start(command({"sleep", "30"}));
  REQUIRE(process.has_value());
  std::thread killer([&] {
    sleep_ms(100);
    (void)where->kill();
  });
  const auto outcome = where->wait(*process, 10'000);
  killer.join();
  REQUIRE(outcome.has_value());
  CHECK(outcome->kind == outcome_kind::killed);
  CHECK(outcome->wall_ms < 5000);
}

TEST_CASE("E55 a supervisor's death is the sandbox's") {
  const auto options = test_options("abuse-supervisor");
  const auto backend = own_backend(options);
  const auto where = prepare_on(*backend, small_policy());
  start_daemon(*where, options);
  const auto process = where->start(command({"sleep", "30"}));
  REQUIRE(process.has_value());
  ::kill(dynamic_cast<native_sandbox&>(*where).supervisor_pid(), SIGKILL);
  CHECK(processes_vanish(options, 5000));
  CHECK(cgroups_vanish(options, 5000));
  const auto outcome = where->wait(*process, 5000);
  REQUIRE(outcome.has_value());
  CHECK(outcome->kind == outcome_kind::killed);
  CHECK(where->start(command({"true"})).error().code() == error_code::unavailable);
  const auto report = where->kill();
  REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
  CHECK(report->proven);
  // The slot is used again.
  CHECK(shell(*prepare_on(*backend, small_policy()), "echo next").out.head == "next\n");
}

TEST_CASE("E55 a supervisor's death is no outcome of the program that ran") {
  const auto where = prepare(small_policy());
  std::thread killer([&] {
    sleep_ms(100);
    ::kill(dynamic_cast<native_sandbox&>(*where).supervisor_pid(), SIGKILL);
  });
  const auto run = run_captured(*where, command({"sleep", "30"}), "", {});
  killer.join();
  REQUIRE_FALSE(run.has_value());
  CHECK(run.error().code() == error_code::unavailable);
}

TEST_CASE("E55 a stopped supervisor keeps nothing alive") {
  auto options = test_options("abuse-stopped-supervisor");
  options.slots = 1;
  const auto backend = own_backend(options);
  const auto where = prepare_on(*backend, small_policy());
  start_daemon(*where, options);
  const auto process = where->start(command({"sleep", "30"}));
  REQUIRE(process.has_value());
  const auto supervisor = dynamic_cast<native_sandbox&>(*where).supervisor_pid();
  REQUIRE(::kill(supervisor, SIGSTOP) == 0);
  SUBCASE("kill") {
    const auto report = where->kill();
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
    CHECK(report->proven);
  }
  SUBCASE("destroy") {
    CHECK(where->destroy().has_value());
    CHECK(where->destroy().has_value());
  }
  CHECK(host_processes(options).empty());
  CHECK(host_cgroups(options).empty());
  CHECK(::kill(supervisor, 0) != 0);
  const auto outcome = where->wait(*process, 100);
  REQUIRE(outcome.has_value());
  CHECK(outcome->kind == outcome_kind::killed);
  CHECK(shell(*prepare_on(*backend, small_policy()), "echo next").out.head == "next\n");
}

TEST_CASE("E55 the zygote's death is every sandbox's") {
  const auto options = test_options("abuse-zygote");
  const auto backend = own_backend(options);
  const auto where = prepare_on(*backend, small_policy());
  start_daemon(*where, options);
  ::kill(backend->zygote_pid(), SIGKILL);
  CHECK(processes_vanish(options, 5000));
  CHECK(cgroups_vanish(options, 5000));
  CHECK_FALSE(backend->recover().has_value());
  // The supervisor said what became of it before it ended.
  const auto report = where->kill();
  REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
  CHECK(report->proven);
}

TEST_CASE("a zygote that is stopped dies with its client, which gave root up") {
  const auto options = test_options("abuse-stopped-zygote");
  require_root();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto client = ::fork();
  REQUIRE(client >= 0);
  if (client == 0) {
    const auto backend = native_backend::start(options);
    const auto where = (*backend)->prepare(*sandbox_policy::make(small_policy()));
    (void)(*where)->start(command({"sleep", "60"}));
    const auto zygote = (*backend)->zygote_pid();
    if (::setresgid(1234, 1234, 1234) != 0 || ::setresuid(1234, 1234, 1234) != 0) ::_exit(1);
    (void)!::write(ends[1], &zygote, sizeof zygote);
    for (;;) ::pause();
  }
  pid_t zygote = 0;
  REQUIRE(::read(ends[0], &zygote, sizeof zygote) == sizeof zygote);
  REQUIRE(::kill(zygote, SIGSTOP) == 0);
  sleep_ms(50);
  ::kill(client, SIGKILL);
  REQUIRE(::waitpid(client, nullptr, 0) == client);
  int status = 0;
  pid_t reaped = 0;
  for (int i = 0; i < 500 && reaped == 0; ++i, sleep_ms(10)) {
    reaped = ::waitpid(zygote, &status, WNOHANG);
  }
  CHECK(reaped == zygote);
  CHECK(WIFSIGNALED(status));
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  CHECK(processes_vanish(options, 5000));
  CHECK(cgroups_vanish(options, 5000));
  if (reaped == 0) ::kill(zygote, SIGKILL);
  for (const int end : ends) ::close(end);
}

TEST_CASE("an end in good order leaves no cgroup and no folder of one") {
  const auto options = test_options("abuse-orderly");
  auto backend = own_backend(options);
  auto where = prepare_on(*backend, small_policy());
  start_daemon(*where, options);
  CHECK_FALSE(instance_folders(options).empty());
  SUBCASE("after its sandboxes") {
    where.reset();
  }
  SUBCASE("before them") {}
  backend.reset();
  CHECK(instance_folders(options).empty());
  CHECK(host_processes(options).empty());
}

TEST_CASE("a deadline holds while its client is stopped; a client's death ends its sandboxes") {
  const auto options = test_options("abuse-stopped");
  require_root();
  const auto client = ::fork();
  REQUIRE(client >= 0);
  if (client == 0) {
    auto backend = native_backend::start(options);
    auto spec = small_policy();
    spec.wall_ms = 1500;
    auto made = (*backend)->prepare(*sandbox_policy::make(spec));
    spec.wall_ms = 60'000;
    auto longer = (*backend)->prepare(*sandbox_policy::make(spec));
    (void)(*made)->start(command({"sleep", "60"}));
    (void)(*longer)->start(command({"sleep", "60"}));
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(client, &status, WUNTRACED) == client);
  REQUIRE(WIFSTOPPED(status));
  const auto before = host_processes(options).size();
  CHECK(before == 4);
  sleep_ms(2500);
  CHECK(host_processes(options).size() == 2);  // the one whose deadline lies further away
  ::kill(client, SIGKILL);
  ::waitpid(client, nullptr, 0);
  CHECK(processes_vanish(options, 5000));
  CHECK(cgroups_vanish(options, 5000));
}

TEST_CASE("the sandbox's deadline ends all, and can be moved") {
  auto spec = small_policy();
  spec.wall_ms = 600;
  const auto ends = prepare(spec);
  const auto lives = prepare(spec);
  const auto first = ends->start(command({"sleep", "30"}));
  const auto second = lives->start(command({"sleep", "1.5"}));
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  const system_clock_source time;
  CHECK(lives->renew(time.boot_ms() + 30'000).has_value());
  const auto ended = ends->wait(*first, 5000);
  REQUIRE(ended.has_value());
  CHECK(ended->kind == outcome_kind::timed_out);
  CHECK(ended->wall_ms >= 50);  // counted from its start; the deadline from prepare
  CHECK(ended->wall_ms < 4000);
  const auto lived = lives->wait(*second, 5000);
  REQUIRE(lived.has_value());
  CHECK(lived->succeeded());
}

TEST_CASE("outcomes are told apart") {
  const auto where = prepare(small_policy());
  CHECK(shell(*where, "exit 3").outcome.code == 3);
  const auto signalled = shell(*where, "kill -SEGV $$");
  CHECK(signalled.outcome.kind == outcome_kind::signalled);
  CHECK(signalled.outcome.code == SIGSEGV);
  const auto missing = where->start(command({"no-such-program"}));
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code() == error_code::not_found);
  CHECK(where->wait({12345}, 10).error().code() == error_code::not_found);
  const auto busy = shell(*where, "bash -c 'ulimit -t 1; while :; do :; done'; true");
  CHECK(busy.outcome.cpu_ms > 500);  // the kernel ends it by ticks, and measures otherwise
}

TEST_CASE("what starts alone has nothing beside it, whatever ran before") {
  const auto where = prepare(small_policy());
  // Daemons of two sessions, and one that forks up to the limit and goes on doing so.
  shell(*where,
        "setsid sleep 60 & (setsid sleep 60 &) ; "
        "(setsid bash -c 'trap \"\" TERM; while :; do sleep 60 & done' 2>/dev/null &); true");
  const auto first = where->start(command({"sleep", "60"}));
  sleep_ms(500);
  auto spec = command({"bash", "-c", "ls -d /proc/[0-9]*; echo self $$"});
  spec.alone = true;
  const auto run = run_captured(*where, std::move(spec), "", {});
  REQUIRE_MESSAGE(run.has_value(), run.error().message());
  CHECK(run->outcome.succeeded());
  std::istringstream lines(run->out.head);
  int processes = 0;
  for (std::string line; std::getline(lines, line);)
    processes += line.starts_with("/proc/") ? 1 : 0;
  CHECK_MESSAGE(processes <= 3, run->out.head);  // init, bash, ls
  if (first) {
    const auto ended = where->wait(*first, 2'000);
    REQUIRE(ended.has_value());
    CHECK(ended->code == SIGKILL);
  }
}

TEST_CASE("slots are bounded, and free again") {
  auto options = test_options("abuse-slots");
  options.slots = 1;
  const auto backend = own_backend(options);
  auto first = prepare_on(*backend, small_policy());
  const auto refused = backend->prepare(*sandbox_policy::make(small_policy()));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == error_code::resource_exhausted);
  first.reset();
  CHECK(backend->prepare(*sandbox_policy::make(small_policy())).has_value());
}

TEST_CASE("sandboxes made, used and ended by several threads at once") {
  const auto options = test_options("abuse-threads");
  const auto backend = own_backend(options);
  const auto policy = sandbox_policy::make(small_policy());
  REQUIRE(policy.has_value());
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        auto where = backend->prepare(*policy);
        if (!where) return;
        const auto run = run_captured(**where, command({"cat"}), "through", {});
        if (!run || run->out.head != "through" || !(*where)->destroy()) return;
        ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 20);
  CHECK(host_processes(options).empty());
  CHECK(cgroups_vanish(options, 1000));
}

TEST_CASE("recover sweeps what an earlier life left") {
  const auto options = test_options("abuse-recover");
  const auto backend = own_backend(options);
  prepare_on(*backend, small_policy()).reset();  // makes the instance's folder
  auto folder = host_cgroups(test_options("abuse-recover"));
  CHECK(folder.empty());
  // What a killed zygote and supervisor would leave: a populated cgroup that nobody claims.
  const auto live = prepare_on(*backend, small_policy());
  const auto cgroups = host_cgroups(options);
  REQUIRE_FALSE(cgroups.empty());
  std::vector<std::string> stale;
  for (const auto& path : cgroups) {
    stale.push_back(path.substr(0, path.rfind('/')) + "/0-1-1");
    REQUIRE(::mkdir(stale.back().c_str(), 0755) == 0);
  }
  const auto orphan = ::fork();
  REQUIRE(orphan >= 0);
  if (orphan == 0) {
    for (;;) ::pause();
  }
  for (const auto& path : stale) std::ofstream(path + "/cgroup.procs") << orphan << std::flush;
  std::thread reaper([&] { ::waitpid(orphan, nullptr, 0); });
  const auto done = backend->recover();
  CHECK_MESSAGE(done.has_value(), (done ? "" : done.error().message()));
  if (!done) ::kill(orphan, SIGKILL);
  reaper.join();
  CHECK(host_cgroups(options).size() == cgroups.size());
  CHECK(shell(*live, "echo untouched").out.head == "untouched\n");
}

}  // namespace germline::abuse
