// D and parts of E: what of the kernel is closed. Where an act is harmless, the control shows that
// seccomp is what closes it.
#include <doctest/doctest.h>
#include <signal.h>

#include "tests/abuse/fixture.hpp"

namespace germline::abuse {

TEST_CASE("D41-D51 E56 E57 system calls outside the list are refused") {
  const auto where = prepare(small_policy());
  for (const auto* name :
       {"unshare-user", "unshare-mount", "setns",  "clone-user",  "mount",       "remount-usr",
        "umount",       "open-tree",     "chroot", "handle",      "ptrace",      "vm-readv",
        "pidfd-getfd",  "bpf",           "perf",   "io-uring",    "userfaultfd", "keyctl",
        "add-key",      "init-module",   "kexec",  "personality", "modify-ldt",  "seccomp",
        "settimeofday", "adjtimex",      "reboot", "sethostname", "syslog",      "swapon",
        "iopl",         "setuid",        "mknod",  "tiocsti"}) {
    CAPTURE(name);
    CHECK(act(*where, name).out.head == "EPERM\n");
  }
}

TEST_CASE("D41-D49 the same acts without seccomp") {
  const auto where = prepare(small_policy(), static_cast<std::uint32_t>(weakening::no_seccomp));
  for (const auto* name :
       {"unshare-user", "clone-user", "clone3", "ptrace", "keyctl", "personality", "modify-ldt"}) {
    CAPTURE(name);
    CHECK(act(*where, name).out.head == "done\n");
  }
  // What user namespaces and mounts close even then.
  for (const auto* name : {"mount", "remount-usr", "umount", "chroot", "mknod", "settimeofday",
                           "kexec", "init-module", "reboot", "sethostname", "setuid"}) {
    CAPTURE(name);
    const auto said = act(*where, name).out.head;
    // EFAULT and ENOSYS: bad arguments and what this kernel lacks come first.
    CHECK_MESSAGE(
        (said == "EPERM\n" || said == "EINVAL\n" || said == "EFAULT\n" || said == "ENOSYS\n"),
        said);
  }
}

TEST_CASE("D49 clone3 says that it does not exist, so that libraries fall back") {
  CHECK(verdict("clone3") == "ENOSYS");
}

TEST_CASE("B27 other system call tables kill") {
  const auto where = prepare(small_policy());
  CHECK(act(*where, "x32").outcome.kind == outcome_kind::violation);
  // Where the kernel has no 32-bit calls at all, the instruction itself faults.
  const auto int80 = act(*where, "int80").outcome;
  CHECK((int80.kind == outcome_kind::violation || int80.code == SIGSEGV));
}

TEST_CASE("ordinary tools work") {
  const auto where = prepare(small_policy());
  const auto run = shell(*where,
                         "set -e; printf 'int main(){return 7;}' > a.cc; g++ a.cc -o a;"
                         "./a || test $? = 7; git init -q r; git -C r status > /dev/null;"
                         "python3 -c 'import threading, socket; print(6 * 7)'");
  CHECK_MESSAGE(run.outcome.succeeded(), run.err.text());
  CHECK(run.out.head == "42\n");
}

TEST_CASE("make runs, and user ids can be set to one's own only") {
  const auto where = prepare(small_policy());
  const auto run =
      shell(*where,
            "set -e; printf 'all:\n\tmkdir made\n\ttrue\n' > Makefile; make -s; test -d made;"
            "python3 -c '\n"
            "import os\n"
            "own = os.geteuid()\n"
            "os.setresuid(-1, own, -1)\n"
            "os.setresgid(-1, os.getegid(), -1)\n"
            "for other in range(8):\n"
            "    if other == own: continue\n"
            "    for change in (os.setresuid, os.setresgid):\n"
            "        try: change(other, other, other)\n"
            "        except OSError: continue\n"
            "        print(change, other)\n"
            "print(own == os.getuid() == os.geteuid())'");
  CHECK_MESSAGE(run.outcome.succeeded(), run.err.text());
  CHECK(run.out.head == "True\n");
}

}  // namespace germline::abuse
