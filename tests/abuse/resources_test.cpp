// A. Resources: nothing inside goes past its limits, and the limits are what stops it.
#include <doctest/doctest.h>
#include <signal.h>

#include "tests/abuse/fixture.hpp"

namespace germline::abuse {

TEST_CASE("A1 processes are bounded, and unbounded without the limit") {
  const auto bounded = act(*prepare(small_policy()), "fork-many", "150");
  CHECK(std::atoi(bounded.out.head.c_str()) < 64);
  const auto control =
      act(*prepare(small_policy(), static_cast<std::uint32_t>(weakening::no_pids_limit)),
          "fork-many", "150");
  CHECK(control.out.head.starts_with("150 children"));
}

TEST_CASE("A2 a fork bomb is killed, with proof") {
  const auto where = prepare(small_policy());
  REQUIRE(where->start(command({"/germline/guest/guest", "fork-bomb"})).has_value());
  sleep_ms(300);
  const auto usage = where->read_usage();
  REQUIRE(usage.has_value());
  CHECK(usage->pids > 30);
  CHECK(usage->pids <= 65);
  const auto report = where->kill();
  REQUIRE(report.has_value());
  CHECK(report->proven);
  CHECK(host_processes(test_options("abuse")).empty());
}

TEST_CASE("A3 a memory bomb is an out_of_memory, and none without the limit") {
  auto policy = small_policy();
  policy.memory_bytes = 32 << 20;
  CHECK(act(*prepare(policy), "memory", "128").outcome.kind == outcome_kind::out_of_memory);
  const auto control = act(*prepare(policy, static_cast<std::uint32_t>(weakening::no_memory_limit)),
                           "memory", "128");
  CHECK(control.outcome.succeeded());
}

TEST_CASE("A3 a shell whose child was out of memory is one too") {
  auto policy = small_policy();
  policy.memory_bytes = 32 << 20;
  const auto where = prepare(policy);
  const auto run = shell(*where, "/germline/guest/guest memory 128; exit $?");
  CHECK(run.outcome.kind == outcome_kind::out_of_memory);
}

TEST_CASE("A4 shared memory and memfds count") {
  auto policy = small_policy();
  policy.memory_bytes = 32 << 20;
  const auto where = prepare(policy);
  CHECK(act(*where, "fill", "/dev/shm/x").out.head == "ENOSPC\n");
  CHECK(act(*prepare(policy), "memfd", "128").outcome.kind == outcome_kind::out_of_memory);
}

TEST_CASE("A6 A7 the workspace's bytes and inodes are bounded, and not without the limit") {
  auto policy = small_policy();
  policy.workspace_bytes = 1 << 20;
  policy.workspace_inodes = 100;
  CHECK(act(*prepare(policy), "fill", "/workspace/x").out.head == "ENOSPC\n");
  CHECK(act(*prepare(policy), "fill-inodes", "/workspace").out.head == "ENOSPC\n");
  const auto open = static_cast<std::uint32_t>(weakening::no_workspace_limit);
  CHECK(act(*prepare(policy, open), "fill", "/workspace/x").out.head == "done\n");
  CHECK(act(*prepare(policy, open), "fill-inodes", "/workspace").out.head == "done\n");
}

TEST_CASE("A6 temporary places and homes are bounded") {
  const auto where = prepare(small_policy());
  CHECK(act(*where, "fill", "/tmp/x").out.head == "ENOSPC\n");
  CHECK(act(*where, "fill", "/home/agent/x").out.head == "ENOSPC\n");
}

TEST_CASE("A9 one file is bounded") {
  auto policy = small_policy();
  policy.file_bytes_max = 1 << 20;
  const auto run = act(*prepare(policy), "fill", "/workspace/x");
  CHECK(run.outcome.kind == outcome_kind::signalled);
  CHECK(run.outcome.code == SIGXFSZ);
}

TEST_CASE("A10 nobody raises a priority") {
  CHECK(verdict("nice") == "EACCES");
}

TEST_CASE("A11 descriptors are bounded") {
  CHECK(verdict("exhaust-fds") == "EMFILE");
}

TEST_CASE("A13 a flood is cut to head and tail, and counted") {
  const auto run = act(*prepare(small_policy()), "flood", "32");
  CHECK(run.outcome.succeeded());
  CHECK(run.out.head.size() == 512 * 1024);
  CHECK(run.out.tail.size() == 512 * 1024);
  CHECK(run.out.tail.ends_with("xdone\n"));
  CHECK(run.out.bytes_cut == (32U << 20) + 5 - (1U << 20));
}

TEST_CASE("A13 an endless flood ends at its wall time") {
  const auto where = prepare(small_policy());
  capture_limits limits;
  limits.wall_ms = 500;
  limits.stdout_bytes_max = 1000;
  const auto run = run_captured(*where, command({"yes"}), "", limits);
  REQUIRE(run.has_value());
  CHECK(run->outcome.kind == outcome_kind::timed_out);
  CHECK(run->out.bytes_cut > 0);
  CHECK(run->out.text().size() < 1100);
  CHECK(shell(*where, "echo alive").out.head == "alive\n");
}

TEST_CASE("A13 a stdin that is never read stops nothing") {
  const auto where = prepare(small_policy());
  const std::string much(4 << 20, 'x');
  const auto run = run_captured(*where, command({"sleep", "0.2"}), much, {});
  REQUIRE(run.has_value());
  CHECK(run->outcome.succeeded());
  const auto echoed = run_captured(*where, command({"wc", "-c"}), much, {});
  REQUIRE(echoed.has_value());
  CHECK(echoed->out.head == "4194304\n");
}

}  // namespace germline::abuse
