#include "worker/gateway/transcript_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.hpp"
#include "worker/gateway/base64.hpp"
#include "worker/gateway/plain_text.hpp"
#include "worker/gateway/transcript_pieces.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;

// A request of the largest body that can be configured, each byte of it an escape, would be longer:
// such a line is passed over. The form with pieces has no such lines.
constexpr std::size_t max_line_bytes = 512 << 20;
constexpr std::size_t max_text_bytes = 1 << 30;  // the largest max_body_bytes
constexpr std::size_t max_unpacked_bytes = 64 << 20;
constexpr std::string_view frame_key = ",\"zstd\":\"";
constexpr std::size_t max_text_pieces = 65'536;  // four times what is ever cut
constexpr std::size_t max_mark_bytes = 100;
constexpr std::size_t block_bytes = 1 << 20;

error damaged(const std::string& what) {
  return {error_code::data_loss, "the transcript is damaged: " + what};
}

std::string text_member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_number(const json& value) {
  return value.is_number_integer() && value >= 0 && value <= INT64_MAX;
}

/// Of a number that is not there, 0.
result<void> read_number(const json& object, const char* key, std::int64_t& into) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!is_number(*found)) return damaged(std::string(key) + " is no number that it can be");
  into = found->get<std::int64_t>();
  return {};
}

bool flag_member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

result<void> read_numbers(const json& line, recorded_exchange& into) {
  // A clock that was set back makes the one negative that says nothing of money.
  if (const auto took = line.find("duration_ms"); took != line.end() && is_number(*took)) {
    into.duration_ms = took->get<std::int64_t>();
  }
  std::int64_t status = 0;
  GERMLINE_TRY(read_number(line, "status", status));
  into.status = static_cast<unsigned>(std::min<std::int64_t>(status, 1'000));
  GERMLINE_TRY(read_number(line, "serial", into.serial));
  GERMLINE_TRY(read_number(line, "cost_nanousd", into.cost_nanousd));
  GERMLINE_TRY(read_number(line, "tries", into.tries));
  GERMLINE_TRY(read_number(line, "tries_by_bound", into.tries_by_bound));
  const auto used = line.find("usage");
  if (used == line.end() || !used->is_object()) return {};
  GERMLINE_TRY(read_number(*used, "input_tokens", into.tokens.input));
  GERMLINE_TRY(read_number(*used, "output_tokens", into.tokens.output));
  GERMLINE_TRY(read_number(*used, "cache_write_tokens", into.tokens.cache_write));
  GERMLINE_TRY(read_number(*used, "cache_write_1h_tokens", into.tokens.cache_write_1h));
  return read_number(*used, "cache_read_tokens", into.tokens.cache_read);
}

}  // namespace

bool recorded_exchange::is_stream() const {
  if (stream) return *stream;
  return std::ranges::any_of(std::array<std::string_view, 3>{"event:", "data:", ":"},
                             [&](auto begin) { return response.starts_with(begin); });
}

result<transcript_reader> transcript_reader::open(const std::string& path) {
  transcript_reader reader;
  reader.file_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!reader.file_) return access_error("opening " + path, errno);
  struct stat status {};
  if (::fstat(reader.file_.get(), &status) != 0) return errno_error("looking at " + path, errno);
  if (!S_ISREG(status.st_mode)) {
    return error(error_code::invalid_argument, path + " is no file");
  }
  if (const auto read = reader.scan(); !read) return read.error().within(path);
  if (reader.exchanges_.empty() && reader.damaged_lines_ > 0) {
    return error(error_code::data_loss, path + " is no transcript: no line of it is one");
  }
  return reader;
}

result<void> transcript_reader::scan() {
  std::string held;  // the beginning of a line
  bool skipping = false;
  std::string block(block_bytes, '\0');
  std::int64_t line_offset = 0;
  for (;;) {
    const ssize_t got = ::pread(file_.get(), block.data(), block.size(), file_bytes_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("reading", errno);
    if (got == 0) break;
    file_bytes_ += got;
    std::string_view rest(block.data(), static_cast<std::size_t>(got));
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      const auto part = rest.substr(0, end);
      skipping = skipping || held.size() + part.size() > max_line_bytes;
      if (!skipping) held += part;
      if (end == rest.npos) break;
      rest.remove_prefix(end + 1);
      if (skipping) ++damaged_lines_;
      if (!skipping) take_line(held, line_offset);
      skipping = false;
      held.clear();
      line_offset = file_bytes_ - static_cast<std::int64_t>(rest.size());
    }
  }
  whole_bytes_ = line_offset;
  return {};
}

void transcript_reader::take_line(std::string_view line, std::int64_t offset) {
  if (line.empty()) return;
  if (line.starts_with("{\"from\":")) {
    if (!take_pieces(line, offset)) ++damaged_lines_;
    return;
  }
  // An entry is parsed when it is read: that it is one is seen at its end.
  const bool is_mark = line.size() < max_mark_bytes;
  const auto parsed = is_mark ? json::parse(line, nullptr, false) : json();
  if (is_mark && parsed.is_object() && !parsed.contains("path")) {
    const bool is_gap = parsed.contains("cut") || parsed.contains("lost") ||
                        text_member(parsed, "left_out") == "not_billed";
    complete_ = complete_ && !is_gap;
    if (is_gap || parsed.contains("left_out")) {
      gaps_.emplace_back(line);
    } else {
      ++damaged_lines_;
    }
    return;
  }
  if ((is_mark && !parsed.is_object()) || !line.starts_with('{') || !line.ends_with('}')) {
    ++damaged_lines_;
    return;
  }
  const auto end = offset + static_cast<std::int64_t>(line.size()) + 1;
  exchanges_.push_back({offset, line.size(), end - entry_end_});
  entry_end_ = end;
}

// Only what stands before the frame is parsed, since that is long; of the frame itself it is seen
// that nothing of it is cut off.
bool transcript_reader::take_pieces(std::string_view line, std::int64_t offset) {
  const auto frame_at = line.find(frame_key);
  if (frame_at == line.npos || !line.ends_with("\"}")) return false;
  auto frame = line.substr(frame_at + frame_key.size());
  frame.remove_suffix(std::min<std::size_t>(frame.size(), 2));
  if (frame.size() % 4 != 0 || frame.find_first_of("\"\\{}") != frame.npos) return false;
  const auto head = json::parse(std::string(line.substr(0, frame_at)) + "}", nullptr, false);
  const auto from = head.is_object() ? head.find("from") : head.end();
  const auto list = head.is_object() ? head.find("pieces") : head.end();
  if (from == head.end() || !is_number(*from) || list == head.end() || !list->is_array()) {
    return false;
  }
  auto number = from->get<std::int64_t>();
  std::size_t bytes = 0;
  std::vector<std::pair<std::int64_t, piece_place>> found;
  for (const auto& piece : *list) {
    if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() || !is_number(piece[1])) {
      return false;
    }
    const auto size = piece[1].get<std::uint64_t>();
    const bool is_bad = size == 0 || size > max_frame_bytes - bytes || number >= max_piece_number;
    if (is_bad) return false;
    found.push_back({number++, {frames_.size(), bytes, size, piece[0].get<std::string>()}});
    bytes += size;
  }
  frames_.push_back({{offset, line.size()}, bytes});
  next_piece_ = std::max(next_piece_, number);
  for (auto& [at, where] : found) {
    const auto [known, is_new] = pieces_.emplace(at, std::move(where));
    if (!is_new) known->second.is_twice = true;
  }
  return true;
}

void transcript_reader::forget_unpacked() const {
  unpacked_ = {};
  unpacked_bytes_ = 0;
}

result<std::string> transcript_reader::line_at(const place& where) const {
  std::string line(where.bytes, '\0');
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t got = ::pread(file_.get(), line.data() + done, line.size() - done,
                                where.offset + static_cast<std::int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("reading the transcript", errno);
    if (got == 0) return damaged("it became shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return line;
}

result<std::string_view> transcript_reader::frame_text(std::size_t frame) const {
  const auto found = unpacked_.find(frame);
  if (found != unpacked_.end()) return std::string_view(found->second);
  const auto& where = frames_[frame];
  GERMLINE_TRY_ASSIGN(const auto line, line_at(where.line));
  const auto key_at = line.find(frame_key);
  const auto begin = key_at + frame_key.size();
  const auto end = line.rfind('"');
  if (key_at == line.npos || end < begin) return damaged("a line of pieces changed");
  const auto base64 = std::string_view(line).substr(begin, end - begin);
  GERMLINE_TRY_ASSIGN(auto text, unpack_frame(base64, where.bytes));
  if (unpacked_bytes_ + text.size() > max_unpacked_bytes) {
    forget_unpacked();
  }
  unpacked_bytes_ += text.size();
  return std::string_view(unpacked_.emplace(frame, std::move(text)).first->second);
}

/// A piece, and where in a text it belongs.
struct transcript_reader::wanted_piece {
  const piece_place* where = nullptr;
  std::int64_t number = 0;
  std::size_t to = 0;
};

result<void> transcript_reader::want_piece(std::int64_t number, std::string& text,
                                           std::vector<wanted_piece>& wanted) const {
  const auto found = pieces_.find(number);
  if (found == pieces_.end()) return damaged("piece " + std::to_string(number) + " is missing");
  const auto& where = found->second;
  if (where.is_twice) return damaged("piece " + std::to_string(number) + " is there twice");
  if (where.bytes > max_text_bytes - text.size()) return damaged("a text of it is too long");
  if (wanted.size() >= max_text_pieces) return damaged("a text of it has too many pieces");
  wanted.push_back({&where, number, text.size()});
  text.resize(text.size() + where.bytes);
  return {};
}

// Each frame is unpacked once, however often and in whatever order the text names its pieces.
result<void> transcript_reader::fill_in(std::vector<wanted_piece> wanted, std::string& text) const {
  std::ranges::stable_sort(wanted, {}, [](const auto& one) { return one.where->frame; });
  for (std::size_t i = 0; i < wanted.size();) {
    const auto frame = wanted[i].where->frame;
    auto unpacked = frame_text(frame);
    if (!unpacked) return unpacked.error().within("piece " + std::to_string(wanted[i].number));
    for (; i < wanted.size() && wanted[i].where->frame == frame; ++i) {
      const auto& [where, number, to] = wanted[i];
      const auto piece = unpacked->substr(where->offset, where->bytes);
      if (sha256_hex(piece) != where->sha256) {
        return damaged("piece " + std::to_string(number) + " is not what it was");
      }
      std::memcpy(text.data() + to, piece.data(), piece.size());
    }
  }
  return {};
}

result<std::string> transcript_reader::text_of(const json& value) const {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return damaged("a text of it is none");
  std::string text;
  std::vector<wanted_piece> wanted;
  for (const auto& part : value) {
    if (part.is_string()) {
      text += part.get_ref<const std::string&>();
    } else if (is_number(part)) {
      GERMLINE_TRY(want_piece(part.get<std::int64_t>(), text, wanted));
    } else if (part.is_array() && part.size() == 2 && is_number(part[0]) && is_number(part[1])) {
      const auto first = part[0].get<std::int64_t>();
      const auto count = part[1].get<std::int64_t>();
      if (count > INT64_MAX - first) return damaged("a part of a text is none");
      for (std::int64_t i = 0; i < count; ++i) {
        GERMLINE_TRY(want_piece(first + i, text, wanted));
      }
    } else {
      return damaged("a part of a text is none");
    }
  }
  GERMLINE_TRY(fill_in(std::move(wanted), text));
  return text;
}

result<recorded_exchange> transcript_reader::read(std::size_t at) const {
  return read_exchange(at, true);
}

result<recorded_exchange> transcript_reader::read_head(std::size_t at) const {
  return read_exchange(at, false);
}

result<recorded_exchange> transcript_reader::read_exchange(std::size_t at, bool with_texts) const {
  GERMLINE_TRY_ASSIGN(const auto bytes, line_at(exchanges_.at(at)));
  const auto line = json::parse(bytes, nullptr, false);
  if (!line.is_object() || !line.contains("path")) {
    return damaged("entry " + std::to_string(at + 1) + " is none");
  }
  recorded_exchange one;
  one.at = text_member(line, "at");
  one.path = text_member(line, "path");
  one.upstream = text_member(line, "upstream");
  one.translated = text_member(line, "translated");
  one.request_cut = flag_member(line, "request_cut");
  one.response_cut = flag_member(line, "response_cut");
  one.outcome = text_member(line, "outcome");
  if (line.contains("stream")) one.stream = flag_member(line, "stream");
  if (const auto read = read_numbers(line, one); !read) {
    return read.error().within("request " + std::to_string(at + 1));
  }
  if (!with_texts) return one;
  const auto read_text = [&](const std::string& key, std::string& into) -> result<void> {
    if (const auto found = line.find(key); found != line.end()) {
      GERMLINE_TRY_ASSIGN(into, text_of(*found));
    } else if (const auto encoded = line.find(key + "_base64"); encoded != line.end()) {
      GERMLINE_TRY_ASSIGN(into, from_base64(text_member(line, (key + "_base64").c_str())));
    }
    return {};
  };
  if (const auto got = read_text("request", one.request); !got) {
    return got.error().within("request " + std::to_string(at + 1));
  }
  if (const auto got = read_text("response", one.response); !got) {
    return got.error().within("the answer to request " + std::to_string(at + 1));
  }
  return one;
}

std::string exported_line(const recorded_exchange& one, const std::string& attempt_id) {
  json line = {{"at", one.at},
               {"duration_ms", one.duration_ms},
               {"path", one.path},
               {"status", one.status},
               {"outcome", one.outcome},
               {"cost_nanousd", one.cost_nanousd},
               {"usage",
                {{"input_tokens", one.tokens.input},
                 {"output_tokens", one.tokens.output},
                 {"cache_write_tokens", one.tokens.cache_write},
                 {"cache_read_tokens", one.tokens.cache_read}}}};
  if (one.tokens.cache_write_1h > 0) {
    line["usage"]["cache_write_1h_tokens"] = one.tokens.cache_write_1h;
  }
  if (one.serial > 0) line["serial"] = one.serial;
  if (one.tries > 1) {
    line["tries"] = one.tries;
    line["tries_by_bound"] = one.tries_by_bound;
  }
  if (one.stream) line["stream"] = *one.stream;
  if (!attempt_id.empty()) line["attempt_id"] = attempt_id;
  if (!one.upstream.empty()) line["upstream"] = one.upstream;
  if (!one.translated.empty()) line["translated"] = one.translated;
  if (one.request_cut) line["request_cut"] = true;
  if (one.response_cut) line["response_cut"] = true;
  const auto put = [&](const char* key, const std::string& text) {
    if (is_utf8(text)) {
      line[key] = text;
    } else {
      line[std::string(key) + "_base64"] = to_base64(text);
    }
  };
  put("request", one.request);
  put("response", one.response);
  // In ASCII: nothing of it steers a terminal.
  return line.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
}

std::string exported_mark(const std::string& mark, const std::string& attempt_id) {
  auto line = json::parse(mark, nullptr, false);
  const auto plain = line.dump(-1, ' ', true, json::error_handler_t::replace);
  if (!attempt_id.empty() && line.is_object()) line["attempt_id"] = attempt_id;
  const auto named = line.dump(-1, ' ', true, json::error_handler_t::replace);
  return (named.size() < max_mark_bytes ? named : plain) + "\n";
}

}  // namespace germline::worker
