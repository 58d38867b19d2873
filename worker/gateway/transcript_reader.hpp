// transcript_reader: reads one transcript (docs/gateway.md), in the form that transcript_pieces.hpp
// describes and in the older one, whole texts in each line. What is exported is of that older form,
// so that it is read as a transcript too. A file that is damaged, or that ends in mid-line because
// its gateway was killed, gives what is whole of it. Texts were written by a sandbox: hostile.
// Opening reads the file once and keeps places, not texts. One thread at a time; blocks on a disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/result.hpp"
#include "common/unique_fd.hpp"
#include "worker/gateway/budget.hpp"

namespace germline::worker {

/// One request and its answer, as they were recorded: secrets are out.
struct recorded_exchange {
  std::string at;           // ISO 8601
  std::int64_t serial = 0;  // in the order of beginnings; 0: an earlier version's
  std::int64_t duration_ms = 0;
  std::string path;
  std::string upstream;
  std::string translated;
  std::string request;
  std::string response;
  bool request_cut = false;
  bool response_cut = false;
  unsigned status = 0;
  std::string outcome;
  token_counts tokens;
  std::int64_t cost_nanousd = 0;    // of all tries
  std::int64_t tries = 1;           // at upstreams, of an earlier version's 1
  std::int64_t tries_by_bound = 0;  // of several, those that were charged so
  std::optional<bool> stream;       // none: an earlier version's

  /// Server-sent events, and not one body.
  bool is_stream() const;
};

class transcript_reader {
 public:
  /// A file of another form is an error only where nothing of it can be read. A symbolic link is
  /// none.
  static result<transcript_reader> open(const std::string& path);

  std::size_t size() const { return exchanges_.size(); }
  /// REQUIRES at < size(). An error where a piece is missing or damaged.
  result<recorded_exchange> read(std::size_t at) const;
  /// The same, but without request and response.
  result<recorded_exchange> read_head(std::size_t at) const;

  /// Lines that are none, or whose form is not known; a last one that was cut off is not among
  /// them.
  std::size_t damaged_lines() const { return damaged_lines_; }
  /// Requests that were made and are not here: past the file's bound, or lost to a slow disk.
  bool is_complete() const { return complete_; }
  std::int64_t file_bytes() const { return file_bytes_; }

  /// The lines that say what is missing, as they stand in the file.
  const std::vector<std::string>& gaps() const { return gaps_; }
  /// Frames that were unpacked are kept for what is read next; no more after this.
  void forget_unpacked() const;

  /// For who goes on writing: the first number that no piece in the file has.
  std::int64_t next_piece() const { return next_piece_; }
  /// What the entry takes in the file, with the lines that stand before it.
  std::int64_t entry_bytes(std::size_t at) const { return exchanges_.at(at).with_before; }
  /// Up to the last line's end.
  std::int64_t whole_bytes() const { return whole_bytes_; }
  /// Whether the last line has its end.
  bool ends_whole() const { return whole_bytes_ == file_bytes_; }

 private:
  struct place {
    std::int64_t offset = 0;
    std::size_t bytes = 0;
    std::int64_t with_before = 0;
  };
  struct piece_place {
    std::size_t frame = 0;   // index into frames_
    std::size_t offset = 0;  // within its text
    std::size_t bytes = 0;
    std::string sha256;
    bool is_twice = false;  // two lines say what it is
  };
  struct frame_place {
    place line;
    std::size_t bytes = 0;  // unpacked
  };

  result<void> scan();
  void take_line(std::string_view line, std::int64_t offset);
  bool take_pieces(std::string_view line, std::int64_t offset);
  result<std::string> line_at(const place& where) const;
  result<std::string> text_of(const nlohmann::json& parts) const;
  struct wanted_piece;
  result<void> want_piece(std::int64_t number, std::string& text,
                          std::vector<wanted_piece>& wanted) const;
  result<void> fill_in(std::vector<wanted_piece> wanted, std::string& text) const;
  result<std::string_view> frame_text(std::size_t frame) const;
  result<recorded_exchange> read_exchange(std::size_t at, bool with_texts) const;

  unique_fd file_;
  std::int64_t file_bytes_ = 0;
  std::vector<place> exchanges_;
  std::vector<frame_place> frames_;
  std::unordered_map<std::int64_t, piece_place> pieces_;
  std::vector<std::string> gaps_;
  std::int64_t next_piece_ = 0;
  std::int64_t entry_end_ = 0;  // of the last one
  std::int64_t whole_bytes_ = 0;
  std::size_t damaged_lines_ = 0;
  bool complete_ = true;
  // Frames that were unpacked last; all are dropped when they are too many.
  mutable std::unordered_map<std::size_t, std::string> unpacked_;
  mutable std::size_t unpacked_bytes_ = 0;
};

/// The exchange as one line of JSON, whole, with its line end; a text that is no UTF-8 is written
/// as `request_base64` or `response_base64`. With an `attempt_id` that is there, too.
std::string exported_line(const recorded_exchange& one, const std::string& attempt_id = {});

/// The same of one of gaps(), so that who reads what was exported knows as much.
std::string exported_mark(const std::string& mark, const std::string& attempt_id = {});

}  // namespace germline::worker
