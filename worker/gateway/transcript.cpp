#include "worker/gateway/transcript.hpp"

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.hpp"
#include "worker/gateway/plain_text.hpp"
#include "worker/gateway/secret_filter.hpp"
#include "worker/gateway/transcript_reader.hpp"

namespace germline::worker {
namespace {

/// Of entries that got lost the requests stay; the oldest are forgotten.
constexpr std::size_t max_kept_requests = 16'384;
constexpr std::size_t max_kept_bytes = 4 << 20;  // short pieces stand among them

constexpr std::string_view mark = "[redacted]";
constexpr std::array<std::string_view, 2> key_prefixes = {"sk-ant-", "sk-proj-"};

bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

/// `text` with the mark in place of each piece that begins with `begin`; `length` says how long the
/// piece at a place is. In one pass: a text full of them must not take quadratic time.
template <class Length>
std::string marked(std::string_view text, std::string_view begin, Length length) {
  std::string clean;
  std::size_t done = 0;
  for (auto at = text.find(begin); at != text.npos; at = text.find(begin, done)) {
    clean.append(text.substr(done, at - done)).append(mark);
    done = at + length(at);
  }
  return clean.append(text.substr(done));
}

}  // namespace

std::string redacted(std::string_view text, const std::vector<std::string>& secrets) {
  auto clean = without_secrets(text, secrets);
  for (const auto prefix : key_prefixes) {
    clean = marked(clean, prefix, [&](std::size_t at) {
      auto end = at + prefix.size();
      while (end < clean.size() && is_key_character(clean[end])) ++end;
      return end - at;
    });
  }
  return clean;
}

std::string redacted_beginning(std::string_view text, const std::vector<std::string>& secrets) {
  auto clean = redacted(text, secrets);
  std::size_t longest = 0;
  for (const auto& secret : secrets) {
    for (auto length = secret.size(); length-- > longest + 1;) {
      if (!clean.ends_with(std::string_view(secret).substr(0, length))) continue;
      longest = length;
      break;
    }
  }
  clean.resize(clean.size() - longest);
  return clean;
}

void transcript_entry::shorten_refused() {
  if (!is_refused() || !request || request->size() <= max_refused_bytes) return;
  request = std::make_shared<const std::string>(request->substr(0, max_refused_bytes));
  request_cut = true;
}

result<transcript> transcript::open(const std::string& directory, const std::string& attempt_id,
                                    std::int64_t max_bytes, std::vector<std::string> secrets) {
  transcript opened;
  opened.secrets_ = std::move(secrets);
  if (directory.empty()) return opened;
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return access_error("making the transcripts directory " + directory, errno);
  }
  const std::string path = directory + "/" + attempt_id + ".jsonl";
  opened.file_.reset(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!opened.file_) return access_error("opening the transcript " + path, errno);
  if (::flock(opened.file_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return errno_error("locking the transcript " + path, errno);
    return error(error_code::failed_precondition,
                 "the transcript " + path + " is being written by another gateway");
  }
  opened.left_bytes_ = max_bytes;
  opened.share_left_bytes_ = {max_bytes / 8, max_bytes / 2};
  struct stat status {};
  if (::fstat(opened.file_.get(), &status) != 0) {
    return errno_error("looking at the transcript " + path, errno);
  }
  if (status.st_size > 0) GERMLINE_TRY(opened.go_on(path));
  return opened;
}

result<void> transcript::go_on(const std::string& path) {
  GERMLINE_TRY_ASSIGN(const auto before, transcript_reader::open(path));
  if (!before.ends_whole() && ::ftruncate(file_.get(), before.whole_bytes()) != 0) {
    return errno_error("removing the torn end of " + path, errno);
  }
  pieces_.go_on_from(before.next_piece());
  left_bytes_ -= before.whole_bytes();
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto head = before.read_head(i);
    if (!head) continue;  // damaged: then of no share
    const bool is_free = head->cost_nanousd == 0 && head->tokens == token_counts();
    const auto of = kind_of(head->outcome == "refused", is_free);
    for (auto at = static_cast<std::size_t>(of); at < share_left_bytes_.size(); ++at) {
      share_left_bytes_[at] -= before.entry_bytes(i);
    }
  }
  for (const auto& mark : before.gaps()) {
    cut_ = cut_ || mark.find("\"cut\"") != mark.npos;
    if (mark.find("\"left_out\"") == mark.npos) continue;
    left_out_[mark.find("\"refused\"") != mark.npos ? 0 : 1] = true;
  }
  return {};
}

// Once one did not fit, nothing more of its kind is looked at: that would cost as much as to write.
bool transcript::leaves_out(kind of) const {
  return of != kind::charged && (left_out_[1] || (of == kind::refused && left_out_[0]));
}

result<void> transcript::keep_request(std::uint64_t id, std::string_view text) {
  if (!file_ || cut_) return {};
  auto pieces = pieces_.store(redacted(text, secrets_), piece_share::charged).dump();
  const auto lines = pieces_.pending_lines();
  const auto written = lines.empty() ? result<bool>(true) : write_bounded(lines, kind::charged);
  if (!written || !*written) {
    pieces_.roll_back();
    if (!written) return written.error();
    return {};
  }
  pieces_.commit();
  kept_bytes_ += pieces.size();
  kept_.emplace(id, std::move(pieces));
  while (kept_.size() > max_kept_requests || kept_bytes_ > max_kept_bytes) {
    take_kept(kept_.begin()->first);
  }
  return {};
}

std::optional<std::string> transcript::take_kept(std::uint64_t id) {
  const auto found = kept_.find(id);
  if (found == kept_.end()) return std::nullopt;
  auto pieces = std::move(found->second);
  kept_bytes_ -= pieces.size();
  kept_.erase(found);
  return pieces;
}

/// As it stands in the entry.
nlohmann::json transcript::request_of(transcript_entry& entry, std::optional<std::string> kept,
                                      piece_share share) {
  if (entry.kept_request == 0) {
    const std::string_view text = entry.request ? std::string_view(*entry.request) : "";
    return pieces_.store(
        entry.request_cut ? redacted_beginning(text, secrets_) : redacted(text, secrets_), share);
  }
  if (kept) return nlohmann::json::parse(*kept);
  entry.request_cut = true;  // it could not be written
  return "";
}

result<void> transcript::append(transcript_entry entry) {
  const auto of = kind_of(entry.is_refused(), entry.is_free());
  auto kept = take_kept(entry.kept_request);
  if (!file_ || cut_ || leaves_out(of)) return {};
  entry.shorten_refused();
  auto response = entry.response_cut ? redacted_beginning(entry.response, secrets_)
                                     : redacted(entry.response, secrets_);
  const auto share = of == kind::refused ? piece_share::none
                     : of == kind::free  ? piece_share::free
                                         : piece_share::charged;
  auto request = request_of(entry, std::move(kept), share);
  nlohmann::json line = {{"at", to_iso8601(entry.at_utc_ms)},
                         {"duration_ms", entry.duration_ms},
                         {"path", entry.path},
                         {"request", std::move(request)},
                         {"status", entry.status},
                         {"stream", entry.stream},
                         {"response", pieces_.store(std::move(response), share)},
                         {"outcome", entry.outcome},
                         {"cost_nanousd", entry.cost_nanousd}};
  line["usage"] = {{"input_tokens", entry.tokens.input},
                   {"output_tokens", entry.tokens.output},
                   {"cache_write_tokens", entry.tokens.cache_write},
                   {"cache_read_tokens", entry.tokens.cache_read}};
  if (entry.tokens.cache_write_1h > 0) {
    line["usage"]["cache_write_1h_tokens"] = entry.tokens.cache_write_1h;
  }
  if (entry.serial > 0) line["serial"] = entry.serial;
  if (entry.tries > 1) {
    line["tries"] = entry.tries;
    line["tries_by_bound"] = entry.tries_by_bound;
  }
  if (!entry.upstream.empty()) line["upstream"] = entry.upstream;
  if (!entry.translated.empty()) line["translated"] = entry.translated;
  if (entry.request_cut) line["request_cut"] = true;
  if (entry.response_cut) line["response_cut"] = true;
  const auto written =
      write_bounded(pieces_.pending_lines() +
                        line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                    of);
  if (written && *written) {
    pieces_.commit();
  } else {
    pieces_.roll_back();
  }
  if (!written) return written.error();
  return {};
}

result<void> transcript::append_lost(std::int64_t entries) {
  if (!file_ || cut_) return {};
  GERMLINE_TRY(write_bounded("{\"lost\": " + std::to_string(entries) + "}\n", kind::charged));
  return {};
}

result<bool> transcript::write_bounded(const std::string& lines, kind of) {
  const auto bytes = static_cast<std::int64_t>(lines.size());
  for (auto at = static_cast<std::size_t>(of); at < share_left_bytes_.size(); ++at) {
    if (bytes <= share_left_bytes_[at] && bytes <= left_bytes_) continue;
    GERMLINE_TRY(leave_out(at));
    return false;
  }
  if (bytes > left_bytes_) {
    cut_ = true;
    GERMLINE_TRY(write_lines("{\"cut\": true}\n"));
    return false;
  }
  left_bytes_ -= bytes;
  for (auto at = static_cast<std::size_t>(of); at < share_left_bytes_.size(); ++at) {
    share_left_bytes_[at] -= bytes;
  }
  GERMLINE_TRY(write_lines(lines));
  return true;
}

result<void> transcript::leave_out(std::size_t share) {
  if (left_out_[share]) return {};
  left_out_[share] = true;
  static constexpr std::array<std::string_view, 2> marks = {"{\"left_out\": \"refused\"}\n",
                                                            "{\"left_out\": \"not_billed\"}\n"};
  left_bytes_ -= static_cast<std::int64_t>(marks[share].size());
  return write_lines(marks[share]);
}

result<void> transcript::write_lines(std::string_view lines) {
  std::string with_end;
  if (torn_) lines = with_end = "\n" + std::string(lines);
  while (!lines.empty()) {
    const ssize_t wrote = ::write(file_.get(), lines.data(), lines.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      torn_ = true;  // maybe; an empty line does no harm
      return errno_error("writing a transcript", errno);
    }
    lines.remove_prefix(static_cast<std::size_t>(wrote));
  }
  torn_ = false;
  return {};
}

}  // namespace germline::worker
