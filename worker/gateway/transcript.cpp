#include "worker/gateway/transcript.hpp"

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include "common/clock.hpp"

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
  return opened;
}

result<void> transcript::append(const transcript_entry& entry) {
  if (!file_ || cut_) return {};
  const bool is_refused = entry.outcome == "refused";
  std::string_view request = entry.request ? std::string_view(*entry.request) : "";
  const bool request_cut = is_refused && request.size() > max_refused_bytes;
  if (request_cut) request = request.substr(0, max_refused_bytes);
  nlohmann::json line = {{"at", to_iso8601(entry.at_utc_ms)},
                         {"duration_ms", entry.duration_ms},
                         {"path", entry.path},
                         {"request", redacted(request, secrets_)},
                         {"status", entry.status},
                         {"response", redacted(entry.response, secrets_)},
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
  return write_bounded(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                       is_refused ? kind::refused
                       : is_free  ? kind::free
                                  : kind::charged);
}

result<void> transcript::append_lost(std::int64_t entries) {
  if (!file_ || cut_) return {};
  return write_bounded("{\"lost\": " + std::to_string(entries) + "}\n", kind::charged);
}

result<void> transcript::write_bounded(const std::string& line, kind of) {
  const auto bytes = static_cast<std::int64_t>(line.size());
  for (auto at = static_cast<std::size_t>(of); at < share_left_bytes_.size(); ++at) {
    if (bytes <= share_left_bytes_[at]) continue;
    if (left_out_[at]) return {};
    left_out_[at] = true;
    static constexpr std::array<std::string_view, 2> marks = {"{\"left_out\": \"refused\"}\n",
                                                              "{\"left_out\": \"not_billed\"}\n"};
    left_bytes_ -= static_cast<std::int64_t>(marks[at].size());
    return write_line(marks[at]);
  }
  if (bytes > left_bytes_) {
    cut_ = true;
    return write_line("{\"cut\": true}\n");
  }
  left_bytes_ -= bytes;
  for (auto at = static_cast<std::size_t>(of); at < share_left_bytes_.size(); ++at) {
    share_left_bytes_[at] -= bytes;
  }
  return write_line(line);
}

result<void> transcript::write_line(std::string_view line) {
  while (!line.empty()) {
    const ssize_t wrote = ::write(file_.get(), line.data(), line.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_error("writing a transcript", errno);
    line.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

}  // namespace germline::worker
