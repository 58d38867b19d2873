#include <unistd.h>

#include "cli/up/up.hpp"
#include "cli/up/up_lock.hpp"

namespace germline::cli {
namespace {

// Longer than `up` waits for its two services, 30 s each, before it kills them.
constexpr std::int64_t end_limit_ms = 75'000;

}  // namespace

exit_code run_down(const session& with) {
  if (::geteuid() != 0) {
    return with.fail({error_code::permission_denied,
                      "down needs root, as `germline up` does. Try: sudo germline down"});
  }
  const auto& state = with.settings.get("state_dir");
  const auto up = find_up(state, *with.time);
  if (!up) return with.fail(up.error());
  const auto pid = std::to_string(up->pid);
  if (const auto ended = end_up(*up, end_limit_ms, *with.time); !ended) {
    const auto failed =
        with.fail({ended.error().code(), ended.error().message() + "; read the logs in " + state +
                                             "/logs. Asked once more, it kills what does not end"});
    return failed == exit_code::unreachable ? exit_code::failed : failed;
  }
  if (with.json) {
    with.data("{\"pid\": " + pid + ", \"ended\": true}\n");
  } else {
    with.message("germline: ended process " + pid + " and its services; the state stays in " +
                 safe_line(state));
  }
  return exit_code::done;
}

}  // namespace germline::cli
