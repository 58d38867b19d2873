// style: how text for people is written: colour or not, which line-drawing, how wide. And the guard
// that all text from elsewhere passes before a terminal sees it.
// Plain values and pure functions; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace germline::cli {

struct style {
  bool terminal = false;  // the output is one
  bool colour = false;
  bool unicode = false;
  int columns = 100;  // of the terminal
};

/// Of an open descriptor, by isatty, its size, NO_COLOR, TERM and LANG.
style style_of(int descriptor);

enum class paint { plain, bold, dim, red, green, yellow, blue, magenta };

/// `text` in a colour, where colours are wanted. `text` is trusted: neutralise it before.
std::string painted(const style& how, paint colour, std::string_view text);

/// The length of the character that `text` begins with, where it reorders what is read (U+061C,
/// U+200E/F, U+202A-E, U+2066-9) or ends a line (U+2028/9); else 0.
std::size_t reordering(std::string_view text);

/// One line: control characters, line ends, invalid UTF-8 and characters that reorder text are
/// written as escapes, so that nothing of it steers a terminal.
std::string safe_line(std::string_view text);

/// The same, but line ends stay and tabs as well.
std::string safe_block(std::string_view text);

/// The first line of `text`, safe. An ellipsis stands for what is left out: what does not fit into
/// `columns`, and further lines.
std::string summary(const style& how, std::string_view text, int columns);

/// The first line of `text`, safe; on a terminal broken into lines, of which the first may have
/// `first` columns and those after it `further`. An ellipsis stands for what is left out: what does
/// not fit into `reason_lines_max` lines, and further lines of the text itself. Never empty.
std::vector<std::string> reason_lines(const style& how, std::string_view text, std::size_t first,
                                      std::size_t further);
inline constexpr std::size_t reason_lines_max = 4;

/// Characters that a terminal shows for `text`, which has no colours, taking each for one column.
std::size_t width(std::string_view text);

/// `text`, safe, each line of it indented; on a terminal lines are broken to fit its width.
std::string indented(const style& how, std::string_view text, std::size_t columns);

/// Whether each line of `text`, which has no colours, fits into the width.
bool fits(const style& how, std::string_view text);

/// Rows under a header, columns padded to the widest cell. Cells must be safe.
std::string table(const style& how, const std::vector<std::string>& header,
                  const std::vector<std::vector<std::string>>& rows);
/// The same; on a terminal columns are left out, in this order, until the rest fits. What is left
/// out is in `germline show` and in JSON.
std::string fitting_table(const style& how, std::vector<std::string> header,
                          std::vector<std::vector<std::string>> rows,
                          const std::vector<std::size_t>& dispensable);

/// Prefix and 18 digits: enough to tell ids apart and to be accepted as an abbreviation.
std::string short_id(std::string_view id);
/// The text with each id in it shortened as above, but for those that are part of a path.
std::string with_short_ids(const std::string& text);
std::string short_commit(std::string_view commit);

/// "850ms", "12.3s", "4m10s", "3h05m", "2d4h".
std::string duration(std::int64_t ms);
/// "3h05m ago"; "-" where there is no time.
std::string age(std::int64_t then_ms, std::int64_t now_ms);
/// "18:03:59" (UTC); "--:--:--" where there is no time.
std::string time_of_day(std::int64_t utc_ms);

}  // namespace germline::cli
