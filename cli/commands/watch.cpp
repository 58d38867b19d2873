// `germline watch`: what goes on, drawn again and again on a terminal.
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/render/render.hpp"

namespace germline::cli {
namespace {

// Of ECMA-48 and xterm; every terminal that people have knows them.
constexpr std::string_view enter_screen = "\x1b[?1049h\x1b[?25l";  // the other screen, no cursor
constexpr std::string_view leave_screen = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view home = "\x1b[H";
constexpr std::string_view end_of_line = "\x1b[K\r\n";
constexpr std::string_view clear_rest = "\x1b[K\x1b[J";
constexpr std::time_t pause_s = 1;
constexpr std::size_t rows_min = 5;

std::size_t rows_of_terminal() {
  winsize size = {};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
  return std::max<std::size_t>(known ? size.ws_row : 24, rows_min);
}

/// Between two of these all is drawn on a screen of its own, however it ends but by SIGKILL.
class drawing {
 public:
  explicit drawing(const session& with) : with_(with) { with_.data(enter_screen); }
  ~drawing() { with_.data(leave_screen); }
  drawing(const drawing&) = delete;
  drawing& operator=(const drawing&) = delete;

  /// As much of `text` as there is room for, beneath a line of its own: its beginning or its end.
  void show(const std::string& top, const std::string& text, bool the_end) const {
    std::vector<std::string_view> lines;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find('\n', at), text.size());
      lines.push_back(std::string_view(text).substr(at, end - at));
      at = end + 1;
    }
    const auto room = rows_of_terminal() - 1;
    std::string out = std::string(home) + top;
    const auto add = [&](std::string_view line) { (out += end_of_line) += line; };
    if (lines.size() <= room) {
      for (const auto& line : lines) add(line);
    } else {
      const auto left = lines.size() - (room - 1);
      const auto first = the_end ? left : 0;
      const auto note = painted(with_.how, paint::dim, std::to_string(left) + " more lines");
      if (the_end) add(note);
      for (std::size_t i = first; i < first + room - 1; ++i) add(lines[i]);
      if (!the_end) add(note);
    }
    with_.data(out + std::string(clear_rest));
  }

 private:
  const session& with_;
};

/// Who works, and all that goes on; what is over comes last, where the screen may end.
result<std::string> picture_of_fleet(control_client& client, const session& with,
                                     const style& how) {
  const auto now_ms = with.time->utc_ms();
  GERMLINE_TRY_ASSIGN(auto runs, client.list_runs({}));
  put_over_last(runs);
  GERMLINE_TRY_ASSIGN(const auto status, client.status({}));
  std::string text;
  for (const auto& trouble : runs.troubles()) {
    text += painted(how, paint::red, safe_line(trouble)) + "\n";
  }
  text += render_workers(status, now_ms, how) + "\n" + render_waiting(runs);
  return text + render_runs(runs, false, now_ms, how);
}

result<std::string> picture_of(control_client& client, const std::string& target,
                               const style& how) {
  v1::GetTreeRequest request;
  request.set_target(target);
  GERMLINE_TRY_ASSIGN(const auto tree, client.get_tree(request));
  return render_tree(tree, how);
}

}  // namespace

exit_code run_watch(const session& with, const std::string& target) {
  if (with.json || !with.how.terminal) {
    return with.fail({error_code::invalid_argument,
                      "watch draws on a terminal; for a pipe there are `ps --json`, `tree --json` "
                      "and `logs --follow --json`"});
  }
  // Taken between two drawings, so that the terminal is left as it was. Before gRPC has threads.
  sigset_t ends;
  ::sigemptyset(&ends);
  for (const int each : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&ends, each);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  control_client client(with.settings, *with.time);
  const auto look = [&](const style& how) {
    return target.empty() ? picture_of_fleet(client, with, how) : picture_of(client, target, how);
  };
  auto seen = look(with.how);
  if (!seen) return with.fail(seen.error());
  const drawing screen(with);
  std::string picture = *seen;
  while (with.output_errno == 0) {
    auto top = painted(with.how, paint::bold, target.empty() ? "germline" : safe_line(target)) +
               "  " + time_of_day(with.time->utc_ms()) + " UTC  " + safe_line(with.coordinator());
    if (seen) {
      picture = *seen;
    } else {  // what was seen last stays
      top = painted(with.how, paint::red,
                    summary(with.how, seen.error().message(), with.how.columns - 1));
    }
    screen.show(top, picture, !target.empty());  // of a tree the newest is what changes
    const timespec wait{pause_s, 0};
    if (::sigtimedwait(&ends, nullptr, &wait) > 0) break;
    seen = look(style_of(STDOUT_FILENO));
  }
  return exit_code::done;
}

}  // namespace germline::cli
