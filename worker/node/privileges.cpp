#include "worker/node/privileges.hpp"

#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

namespace germline::worker {

result<void> drop_privileges(std::uint32_t uid, std::uint32_t gid, std::uint32_t also) {
  int death_signal = 0;
  if (::prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0) != 0) death_signal = 0;
  const gid_t groups[] = {also};
  if (::setgroups(also == 0 ? 0 : 1, groups) != 0) return errno_error("setgroups", errno);
  if (::setresgid(gid, gid, gid) != 0) return errno_error("setresgid", errno);
  if (::setresuid(uid, uid, uid) != 0) return errno_error("setresuid", errno);
  // Leaving uid 0 cleared the capabilities; this keeps any exec from bringing some back.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error("no_new_privs", errno);
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error("PR_SET_DUMPABLE", errno);
  // The change of uid cleared it; a supervisor that asked for it still must not be outlived.
  if (::prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0) return errno_error("PDEATHSIG", errno);
  if (uid != 0 && ::setuid(0) == 0) {
    return error(error_code::internal, "root could be taken back after it was given up");
  }
  return {};
}

}  // namespace germline::worker
