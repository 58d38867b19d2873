// as-candidate: a harness of uid 1000 runs the candidate's artefact as uid 1001, confined alike,
// which cannot touch the harness.
#include <doctest/doctest.h>

#include <signal.h>

#include "tests/abuse/fixture.hpp"

namespace germline::abuse {
namespace {

std::unique_ptr<sandbox> with_candidate() {
  auto policy = small_policy();
  policy.allow_candidate_exec = true;
  return prepare(policy);
}

}  // namespace

TEST_CASE("the program runs as the candidate, with stdio, arguments and directory") {
  const auto where = with_candidate();
  const auto run = shell(*where,
                         "cd /tmp; export MARK=given; echo asked | /germline/bin/as-candidate "
                         "bash -c 'id -u; pwd; echo $MARK $HOME $1; cat' x argument");
  CHECK(run.outcome.succeeded());
  CHECK(run.out.head == "1001\n/tmp\ngiven /home/candidate argument\nasked\n");
}

TEST_CASE("its end is told") {
  const auto where = with_candidate();
  CHECK(shell(*where, "/germline/bin/as-candidate bash -c 'exit 5'").outcome.code == 5);
  CHECK(shell(*where, "/germline/bin/as-candidate bash -c 'kill -SEGV $$'").outcome.code ==
        128 + SIGSEGV);
  CHECK(shell(*where, "/germline/bin/as-candidate no-such-program").outcome.code == 125);
  CHECK(shell(*where, "for i in {1..40}; do /germline/bin/as-candidate true || exit 1; done")
            .outcome.succeeded());
}

TEST_CASE("the candidate is confined as all are, and cannot touch the harness") {
  const auto where = with_candidate();
  const auto run = shell(*where, R"(
    sleep 20 & sleeper=$!
    as=/germline/bin/as-candidate; guest=/germline/guest/guest
    $as $guest unshare-user; $as $guest socket 16; $as $guest fds; $as $guest kill $sleeper
    $as $guest read /proc/$sleeper/environ; $as $guest create /home/agent/x
    $as $guest create /workspace/x; $as $as true 2> /dev/null; echo $?)");
  CHECK(run.out.head == "EPERM\nEPERM\nopen: 0 1 2 \ndone\nEPERM\nENOENT\nEACCES\nEACCES\n125\n");
}

TEST_CASE("the harness's end, or its client's, is the candidate's") {
  const auto where = with_candidate();
  const auto run = shell(*where, R"(
    /germline/bin/as-candidate sleep 77 & client=$!
    sleep 0.5; kill -KILL $client; wait $client; sleep 0.3)");
  CHECK(run.outcome.kind == outcome_kind::exited);
  const auto usage = where->read_usage();
  REQUIRE(usage.has_value());
  CHECK(usage->pids == 1);  // init alone
}

TEST_CASE("it is not there where the policy does not allow it, nor open to the candidate") {
  CHECK_FALSE(shell(*prepare(small_policy()), "test -e /germline/run.sock").outcome.succeeded());
  const auto direct =
      shell(*with_candidate(), "/germline/bin/as-candidate id", uid_role::candidate);
  CHECK(direct.outcome.code == 125);
}

TEST_CASE("connections are bounded and hold nothing up") {
  const auto where = with_candidate();
  const auto run = shell(*where, R"(
    python3 -c '
import socket, time
held = []
for _ in range(30):
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.setblocking(False)
    try:
        one.connect("/germline/run.sock")
        held.append(one)
        one.send(b"rubbish")
    except OSError:
        pass
time.sleep(0.3)'
    /germline/bin/as-candidate echo served)");
  CHECK(run.out.head == "served\n");
}

}  // namespace germline::abuse
