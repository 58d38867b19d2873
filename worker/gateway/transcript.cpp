#include "worker/gateway/transcript.hpp"

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include "common/clock.hpp"
#include "worker/gateway/transcript_reader.hpp"

namespace germline::worker {
namespace {

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
  std::string clean(text);
  for (const auto& secret : secrets) {
    if (secret.empty()) continue;
    clean = marked(clean, secret, [&](std::size_t) { return secret.size(); });
  }
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

result<transcript> transcript::open(const std::string& directory, const std::string& attempt_id,
                                    std::int64_t max_bytes, std::vector<std::string> secrets) {
  transcript opened;
  opened.secrets_ = std::move(secrets);
  if (directory.empty()) return opened;
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_error("making the transcripts directory " + directory, errno);
  }
  const std::string path = directory + "/" + attempt_id + ".jsonl";
  opened.file_.reset(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!opened.file_) return errno_error("opening the transcript " + path, errno);
  struct stat status {};
  if (::fstat(opened.file_.get(), &status) != 0) {
    return errno_error("looking at the transcript " + path, errno);
  }
  opened.left_bytes_ = max_bytes - status.st_size;
  opened.share_left_bytes_ = {opened.left_bytes_ / 8, opened.left_bytes_ / 2};
  if (status.st_size == 0) return opened;
  GERMLINE_TRY_ASSIGN(const auto before, transcript_reader::open(path));
  for (const auto& piece : before.pieces()) opened.pieces_.add_known(piece.sha256, piece.number);
  opened.torn_ = !before.ends_whole();
  return opened;
}

result<void> transcript::append(const transcript_entry& entry) {
  if (!file_ || cut_) return {};
  const bool is_refused = entry.outcome == "refused";
  auto request = redacted(entry.request ? std::string_view(*entry.request) : "", secrets_);
  const bool request_cut = is_refused && request.size() > max_refused_bytes;
  if (request_cut) request.resize(max_refused_bytes);
  auto response = entry.response_cut ? redacted_beginning(entry.response, secrets_)
                                     : redacted(entry.response, secrets_);
  nlohmann::json line = {{"at", to_iso8601(entry.at_utc_ms)},
                         {"duration_ms", entry.duration_ms},
                         {"path", entry.path},
                         {"request", pieces_.store(std::move(request))},
                         {"status", entry.status},
                         {"response", pieces_.store(std::move(response))},
                         {"outcome", entry.outcome},
                         {"cost_nanousd", entry.cost_nanousd}};
  line["usage"] = {{"input_tokens", entry.tokens.input},
                   {"output_tokens", entry.tokens.output},
                   {"cache_write_tokens", entry.tokens.cache_write},
                   {"cache_read_tokens", entry.tokens.cache_read}};
  if (!entry.upstream.empty()) line["upstream"] = entry.upstream;
  if (!entry.translated.empty()) line["translated"] = entry.translated;
  if (request_cut) line["request_cut"] = true;
  if (entry.response_cut) line["response_cut"] = true;
  const bool is_free = entry.cost_nanousd == 0 && entry.tokens == token_counts();
  const auto of = is_refused ? kind::refused : is_free ? kind::free : kind::charged;
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
    if (bytes <= share_left_bytes_[at]) continue;
    if (left_out_[at]) return false;
    left_out_[at] = true;
    static constexpr std::array<std::string_view, 2> marks = {"{\"left_out\": \"refused\"}\n",
                                                              "{\"left_out\": \"not_billed\"}\n"};
    left_bytes_ -= static_cast<std::int64_t>(marks[at].size());
    GERMLINE_TRY(write_lines(marks[at]));
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
