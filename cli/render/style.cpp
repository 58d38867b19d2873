#include "cli/render/style.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <regex>

#include "common/clock.hpp"
#include "common/log.hpp"

namespace germline::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? "" : value;
}

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) >> 6) != 0x2;
}

/// How many bytes of `text` are its first `columns` characters.
std::size_t bytes_of(std::string_view text, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size(); ++at) {
    if (starts_character(text[at]) && seen++ == columns) break;
  }
  return at;
}

/// Takes from `line` what fits into `room`, where it can be up to a space, which goes with it.
std::string_view take_line(std::string_view& line, std::size_t room) {
  auto cut = bytes_of(line, room);
  if (cut < line.size()) {
    if (const auto space = line.rfind(' ', cut);
        space != std::string_view::npos && space > cut / 2) {
      cut = space;
    }
  }
  const auto taken = line.substr(0, cut);
  line.remove_prefix(cut);
  if (line.starts_with(' ')) line.remove_prefix(1);
  return taken;
}

std::string format(const char* pattern, long long a, long long b) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, a, b);
  return buffer;
}

}  // namespace

std::size_t reordering(std::string_view text) {
  if (text.starts_with("\xd8\x9c")) return 2;
  if (text.size() < 3 || text[0] != '\xe2') return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  const auto third = static_cast<unsigned char>(text[2]);
  const bool general =
      second == 0x80 && (third == 0x8e || third == 0x8f || (third >= 0xa8 && third <= 0xae));
  const bool isolate = second == 0x81 && third >= 0xa6 && third <= 0xa9;
  return general || isolate ? 3 : 0;
}

style style_of(int descriptor) {
  style how;
  how.terminal = ::isatty(descriptor) == 1;
  how.colour = how.terminal && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const auto value = variable(name);
    if (value.empty()) continue;
    how.unicode =
        value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
    break;
  }
  winsize size{};
  if (how.terminal && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) {
    how.columns = size.ws_col;
  }
  return how;
}

std::string painted(const style& how, paint colour, std::string_view text) {
  if (!how.colour || colour == paint::plain) return std::string(text);
  const char* code = "0";
  switch (colour) {
    case paint::plain:
      break;
    case paint::bold:
      code = "1";
      break;
    case paint::dim:
      code = "2";
      break;
    case paint::red:
      code = "31";
      break;
    case paint::green:
      code = "32";
      break;
    case paint::yellow:
      code = "33";
      break;
    case paint::blue:
      code = "34";
      break;
    case paint::magenta:
      code = "35";
      break;
  }
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

std::string safe_line(std::string_view text) {
  const auto controlled = printable(text);
  std::string safe;
  safe.reserve(controlled.size());
  for (std::size_t at = 0; at < controlled.size();) {
    const auto length = reordering(std::string_view(controlled).substr(at));
    for (const auto end = at + length; at < end; ++at) {
      safe += format("\\x%02llx", static_cast<unsigned char>(controlled[at]), 0);
    }
    if (length == 0) safe += controlled[at++];
  }
  return safe;
}

std::string safe_block(std::string_view text) {
  std::string safe;
  while (true) {
    const auto end = text.find('\n');
    safe += safe_line(text.substr(0, end));
    if (end == std::string_view::npos) return safe;
    safe += '\n';
    text.remove_prefix(end + 1);
  }
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), &starts_character));
}

std::string summary(const style& how, std::string_view text, int columns) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  const auto first = text.substr(0, text.find('\n'));
  const bool more = first.size() < text.size();
  const std::string_view ellipsis = how.unicode ? "…" : "...";
  auto line = safe_line(first);
  const auto limit = static_cast<std::size_t>(std::max(columns, 8));
  if (width(line) + (more ? width(ellipsis) : 0) <= limit) {
    return more ? line + std::string(ellipsis) : line;
  }
  line.resize(bytes_of(line, limit - width(ellipsis)));
  return line + std::string(ellipsis);
}

std::vector<std::string> reason_lines(const style& how, std::string_view text, std::size_t first,
                                      std::size_t further) {
  constexpr int endless = 1 << 20;
  const auto whole = summary(how, text, endless);
  if (!how.terminal) return {whole};
  std::vector<std::string> lines;
  std::string_view rest = whole;
  for (auto room = first; lines.empty() || !rest.empty(); room = further) {
    if (lines.size() + 1 == reason_lines_max) {
      lines.push_back(summary(how, rest, static_cast<int>(room)));
      break;
    }
    lines.emplace_back(take_line(rest, room));
  }
  return lines;
}

std::string indented(const style& how, std::string_view text, std::size_t columns) {
  const std::string margin(columns, ' ');
  const auto block = safe_block(text);
  const auto room = std::max<std::size_t>(static_cast<std::size_t>(how.columns) - columns, 20);
  std::string out;
  for (std::string_view rest = block; !rest.empty();) {
    const auto end = rest.find('\n');
    auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    while (how.terminal && width(line) > room) {
      out += margin + std::string(take_line(line, room)) + "\n";
    }
    out += margin + std::string(line) + "\n";
  }
  return out;
}

bool fits(const style& how, std::string_view text) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (width(text.substr(0, end)) > static_cast<std::size_t>(how.columns)) return false;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return true;
}

std::string table(const style& how, const std::vector<std::string>& header,
                  const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& cell : header) widths.push_back(width(cell));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], width(row[i]));
    }
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
      text += cells[i];
      if (i + 1 < cells.size()) text.append(widths[i] - width(cells[i]) + 2, ' ');
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
  };
  auto text = painted(how, paint::bold, line(header)) + "\n";
  for (const auto& row : rows) text += line(row) + "\n";
  return text;
}

std::string short_id(std::string_view id) {
  constexpr std::size_t prefix = 4;
  constexpr std::size_t digits = 18;
  return safe_line(id.substr(0, prefix + digits));
}

std::string with_short_ids(const std::string& text) {
  static const std::regex id(
      "(^|[^/_0-9A-Za-z])((?:run|lin|gen|itm|att|wrk)_[0-9a-f]{18})[0-9a-f]{14}(?![_0-9A-Za-z])");
  return std::regex_replace(text, id, "$1$2");
}

std::string short_commit(std::string_view commit) {
  constexpr std::size_t digits = 10;
  return commit.empty() ? "-" : safe_line(commit.substr(0, digits));
}

std::string duration(std::int64_t ms) {
  if (ms < 0) return "-";
  if (ms < 1000) return format("%lldms", ms, 0);
  if (ms < 60'000) return format("%lld.%llds", ms / 1000, ms % 1000 / 100);
  const auto seconds = ms / 1000;
  if (seconds < 3600) return format("%lldm%02llds", seconds / 60, seconds % 60);
  if (seconds < 86'400) return format("%lldh%02lldm", seconds / 3600, seconds % 3600 / 60);
  return format("%lldd%lldh", seconds / 86'400, seconds % 86'400 / 3600);
}

std::string age(std::int64_t then_ms, std::int64_t now_ms) {
  if (then_ms <= 0) return "-";
  return duration(std::max<std::int64_t>(now_ms - then_ms, 0)) + " ago";
}

std::string time_of_day(std::int64_t utc_ms) {
  if (utc_ms <= 0) return "--:--:--";
  return to_iso8601(utc_ms).substr(11, 8);
}

std::string fitting_table(const style& how, std::vector<std::string> header,
                          std::vector<std::vector<std::string>> rows,
                          const std::vector<std::size_t>& dispensable) {
  const style colourless{.terminal = how.terminal, .unicode = how.unicode, .columns = how.columns};
  std::vector<std::size_t> left_out;
  for (const auto column : dispensable) {
    if (!how.terminal || fits(how, table(colourless, header, rows))) break;
    const auto before = static_cast<std::size_t>(std::count_if(
        left_out.begin(), left_out.end(), [&](std::size_t other) { return other < column; }));
    const auto at = static_cast<std::ptrdiff_t>(column - before);
    header.erase(header.begin() + at);
    for (auto& row : rows) row.erase(row.begin() + at);
    left_out.push_back(column);
  }
  return table(how, header, rows);
}

}  // namespace germline::cli
