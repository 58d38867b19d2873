#include "worker/gateway/account_journal.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.hpp"

namespace germline::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view head_words = "germline account 1 ";
constexpr std::string_view suffix = ".account";
constexpr std::string_view new_suffix = ".account.new";
constexpr std::size_t max_bytes = 1 << 20;
// What any number in it is at most: no sum of a whole file then overflows.
constexpr std::int64_t max_number = 1'000'000'000'000'000;

std::string path_of(const std::string& directory, const std::string& attempt_id) {
  return directory + "/" + attempt_id + std::string(suffix);
}

template <class... Numbers>
std::string line(std::string_view word, Numbers... numbers) {
  std::string out(word);
  ((out += " " + std::to_string(numbers)), ...);
  return out + "\n";
}

std::string total_line(const gateway_usage& total) {
  return line("total", total.requests, total.input_tokens, total.output_tokens,
              total.cache_write_tokens, total.cache_read_tokens, total.cost_nanousd,
              total.charged_by_bound);
}

std::string reserve_line(std::uint64_t id, const request_bound& bound) {
  return line("reserve", id, bound.input_tokens, bound.output_tokens, bound.cost_nanousd);
}

std::string line_of(const budget_event& event) {
  if (const auto* asked = std::get_if<reserve_event>(&event)) {
    return reserve_line(asked->id, asked->bound);
  }
  if (const auto* ended = std::get_if<settle_event>(&event)) {
    const auto& of = ended->tokens;
    return line("settle", ended->id, of.input, of.output, of.cache_write, of.cache_read,
                ended->cost_nanousd);
  }
  if (const auto* died = std::get_if<forfeit_event>(&event)) return line("forfeit", died->id);
  if (const auto* more = std::get_if<more_event>(&event)) {
    const auto& of = more->tokens;
    return line("more", of.input, of.output, of.cache_write, of.cache_read, more->cost_nanousd);
  }
  return line("release", std::get<release_event>(event).id);
}

/// All of it or an error.
result<void> write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(file, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_error("writing an account's journal", errno);
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

/// Puts a file with that text in the attempt's place, held.
result<unique_fd> put(const std::string& directory, const std::string& attempt_id,
                      std::string_view text) {
  const auto place = path_of(directory, attempt_id);
  const auto fresh = directory + "/" + attempt_id + std::string(new_suffix);
  ::unlink(fresh.c_str());
  unique_fd file(::open(fresh.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!file) return errno_error("making " + fresh, errno);
  // The node and the gateway share a group alone, and either may have been started with any umask.
  if (::fchmod(file.get(), 0640) != 0) return errno_error("chmod of " + fresh, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return errno_error("holding " + fresh, errno);
  if (auto wrote = write_all(file.get(), text); !wrote) {
    ::unlink(fresh.c_str());
    return wrote.error();
  }
  if (::rename(fresh.c_str(), place.c_str()) != 0) return errno_error("renaming " + fresh, errno);
  return file;
}

result<std::string> read_text(int file) {
  std::string text;
  std::array<char, 16'384> part{};
  for (;;) {
    const ssize_t got = ::read(file, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("reading an account's journal", errno);
    if (got == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > max_bytes) {
      return error(error_code::invalid_argument, "the journal is larger than 1 MiB");
    }
  }
}

/// The last thing that can be done for the truth.
result<void> remove_surely(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  const int unlink_failed = errno;
  if (::truncate(path.c_str(), 0) == 0) return {};  // without its head nobody believes it
  return errno_error("removing " + path, unlink_failed);
}

error bad_line(std::string_view text) {
  return {error_code::invalid_argument,
          "the journal has a line that means nothing: '" + std::string(text.substr(0, 80)) + "'"};
}

/// The numbers behind the line's first word; false where they are not as many, or none.
bool read_numbers(std::string_view text, std::span<std::int64_t> out, std::int64_t least) {
  for (auto& number : out) {
    if (text.empty() || text.front() != ' ') return false;
    text.remove_prefix(1);
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc() || number < least || number > max_number) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return text.empty();
}

/// Takes one line; false where it means nothing in this place.
bool take_line(budget_state& state, std::string_view text) {
  const auto word = text.substr(0, text.find(' '));
  const auto rest = text.substr(word.size());
  std::array<std::int64_t, 6> n{};
  const auto numbers = [&](std::size_t count, std::int64_t least = 0) {
    return read_numbers(rest, std::span(n).first(count), least);
  };
  const auto id = [&] { return static_cast<std::uint64_t>(n[0]); };
  const auto is_open = [&] { return state.open.contains(id()); };
  if (word == "reserve") {
    if (!numbers(4) || is_open()) return false;
    return std::holds_alternative<granted_effect>(
        step(state, reserve_event{id(), {n[1], n[2], n[3]}, 0}));
  }
  if (word == "settle") {
    if (!numbers(6) || !is_open()) return false;
    step(state, settle_event{id(), {n[1], n[2], n[3], 0, n[4]}, n[5]});
    return true;
  }
  if (word == "forfeit" || word == "release") {
    if (!numbers(1) || !is_open()) return false;
    if (word == "forfeit") {
      step(state, forfeit_event{id()});
    } else {
      step(state, release_event{id()});
    }
    return true;
  }
  // Of what an upstream corrects there may be less of one kind, and more of another.
  if (word != "more" || !numbers(5, -max_number)) return false;
  step(state, more_event{{n[0], n[1], n[2], 0, n[3]}, n[4]});
  return true;
}

/// No limit but that sums fit.
budget_state without_limits() {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  budget_state state;
  state.limits = {most, most, most, most, most};
  return state;
}

/// Of a directory's entry that is an account; else empty.
std::string attempt_of(const fs::path& path) {
  const auto name = path.filename().string();
  if (!name.ends_with(suffix)) return {};
  return name.substr(0, name.size() - suffix.size());
}

/// What is there, if nobody holds it; else no descriptor.
result<unique_fd> take_if_free(const std::string& path) {
  unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return unique_fd();
  if (!file) return errno_error("opening " + path, errno);
  if (::flock(file.get(), LOCK_SH | LOCK_NB) != 0) return unique_fd();
  // Another may have been put in its place before it was held.
  struct stat held = {};
  struct stat there = {};
  const bool is_same = ::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &there) == 0 &&
                       held.st_ino == there.st_ino && held.st_dev == there.st_dev;
  return is_same ? std::move(file) : unique_fd();
}

}  // namespace

result<gateway_usage> parse_account(std::string_view text, std::string_view boot_id) {
  const auto next_line = [&text]() -> std::optional<std::string_view> {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;  // torn, or over
    const auto found = text.substr(0, end);
    text.remove_prefix(end + 1);
    return found;
  };
  const auto head = next_line();
  if (!head || !head->starts_with(head_words)) {
    return error(error_code::invalid_argument, "the journal has no head");
  }
  if (head->substr(head_words.size()) != boot_id) {
    return error(error_code::failed_precondition,
                 "the journal is of another boot of the machine, and may lack its last lines");
  }
  const auto total = next_line();
  std::array<std::int64_t, 7> n{};
  constexpr std::string_view total_word = "total";
  if (!total || !total->starts_with(total_word) ||
      !read_numbers(total->substr(total_word.size()), n, 0)) {
    return error(error_code::invalid_argument, "the journal has no total");
  }
  auto state = without_limits();
  state.settled = {n[0], n[1], n[2], n[3], n[4], n[5], n[6]};
  while (const auto each = next_line()) {
    if (!take_line(state, *each)) return bad_line(*each);
  }
  while (!state.open.empty()) step(state, forfeit_event{state.open.begin()->first});
  return state.settled;
}

result<unique_fd> begin_account(const std::string& directory, const std::string& attempt_id,
                                const std::string& boot_id) {
  return put(directory, attempt_id, std::string(head_words) + boot_id + "\n" + total_line({}));
}

result<account_journal> account_journal::open(const std::string& directory,
                                              const std::string& attempt_id,
                                              const std::string& boot_id) {
  account_journal made;
  made.directory_ = directory;
  made.attempt_id_ = attempt_id;
  made.boot_id_ = boot_id;
  const auto place = path_of(directory, attempt_id);
  if (const unique_fd there(::open(place.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)); there) {
    const auto text = read_text(there.get());
    const auto before = text ? parse_account(*text, boot_id) : result<gateway_usage>(text.error());
    if (!before) {
      GERMLINE_TRY(made.give_up(before.error()));
      return made;
    }
    made.before_ = *before;
  } else if (errno != ENOENT) {
    GERMLINE_TRY(made.give_up(errno_error("opening " + place, errno)));
    return made;
  }
  if (auto begun = made.compact(budget_state()); !begun) return begun.error();
  return made;
}

result<void> account_journal::give_up(const error& why) {
  log_warning("{}: {}; its account is not kept: if it is lost, it is charged whole", attempt_id_,
              why.message());
  stuck_ = true;
  return remove();
}

result<void> account_journal::remove() {
  GERMLINE_TRY(remove_surely(path_of(directory_, attempt_id_)));
  stuck_ = false;
  file_.reset();
  return {};
}

result<void> account_journal::compact(const budget_state& after) {
  const auto& more = after.settled;
  gateway_usage total = before_;
  // Requests that are open are counted again by their lines.
  total.requests += more.requests - static_cast<std::int64_t>(after.open.size());
  total.input_tokens += more.input_tokens;
  total.output_tokens += more.output_tokens;
  total.cache_write_tokens += more.cache_write_tokens;
  total.cache_read_tokens += more.cache_read_tokens;
  total.cost_nanousd += more.cost_nanousd;
  total.charged_by_bound += more.charged_by_bound;
  std::string text = std::string(head_words) + boot_id_ + "\n" + total_line(total);
  for (const auto& [id, bound] : after.open) text += reserve_line(id, bound);
  auto fresh = put(directory_, attempt_id_, text);
  if (!fresh) return give_up(fresh.error());
  file_ = std::move(*fresh);
  bytes_ = compacted_bytes_ = text.size();
  return {};
}

result<void> account_journal::note(const budget_event& event, const budget_state& after) {
  if (stuck_) return remove();  // another try; what it says is not true any more
  if (!keeps()) return {};
  const auto text = line_of(event);
  if (bytes_ + text.size() > std::max(compact_bytes, 2 * compacted_bytes_)) return compact(after);
  if (auto wrote = write_all(file_.get(), text); !wrote) return give_up(wrote.error());
  bytes_ += text.size();
  return {};
}

result<std::vector<told_account>> read_accounts(const std::string& directory,
                                                const std::string& boot_id, std::size_t most) {
  std::error_code failed;
  std::vector<std::string> attempts;
  for (const auto& each : fs::directory_iterator(directory, failed)) {
    if (auto attempt = attempt_of(each.path()); !attempt.empty()) attempts.push_back(attempt);
  }
  if (failed) return errno_error("reading " + directory, failed.value());
  std::ranges::sort(attempts);
  std::vector<told_account> told;
  for (const auto& attempt : attempts) {
    if (told.size() >= most) break;
    const auto path = path_of(directory, attempt);
    const auto file = take_if_free(path);
    if (file && !*file) continue;
    const auto text = file ? read_text(file->get()) : result<std::string>(file.error());
    const auto usage = text ? parse_account(*text, boot_id) : result<gateway_usage>(text.error());
    if (usage) {
      told.push_back({attempt, *usage});
    } else {
      log_warning("{}: {}; if it was lost, it stays charged whole", attempt,
                  usage.error().message());
      ::unlink(path.c_str());
    }
  }
  return told;
}

void forget_account(const std::string& directory, const std::string& attempt_id) {
  if (attempt_id.empty() || attempt_id.find('/') != std::string::npos) return;
  const auto path = path_of(directory, attempt_id);
  if (const auto file = take_if_free(path); file && *file) ::unlink(path.c_str());
}

result<std::string> read_boot_id() {
  const std::string path = "/proc/sys/kernel/random/boot_id";
  std::string boot;
  if (std::getline(std::ifstream(path) >> std::ws, boot)) return boot;
  return error(error_code::not_found, "reading " + path + ": is /proc mounted?");
}

}  // namespace germline::worker
