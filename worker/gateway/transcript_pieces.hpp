// transcript_pieces: how a transcript stores texts that have much in common. A text is cut into
// pieces (transcript_cuts.hpp); each piece is known by its SHA-256, stored once in the file, and
// from then on named by its number there. What is new of one entry is compressed together.
//
// Bytes on disk, JSON Lines, in this order:
//   {"from": N, "pieces": [["<sha256>", bytes], ...], "zstd": "<base64>"}   pieces N, N+1, ...
//   {..., "request": text, "response": text, ...}                            an entry
// where a text is a string, or a list of strings (as they are), numbers (a piece) and pairs
// [first, count] (so many pieces from there on). The zstd frame of a line holds its pieces one
// behind the other: at most frame_bytes of them, or one larger piece alone, so that a reader
// unpacks little for a small piece. Earlier versions wrote up to max_frame_bytes. A table belongs
// to one transcript; one thread at a time. Writes nothing itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/result.hpp"

namespace germline::worker {

inline constexpr std::size_t max_frame_bytes = 8 << 20;  // of any that is read
inline constexpr std::size_t frame_bytes = 256 << 10;
/// Texts of an attempt that has so many pieces are not cut any more.
inline constexpr std::size_t max_pieces = 65'536;
/// Of these, what costs nothing may have.
inline constexpr std::size_t max_free_pieces = max_pieces / 2;
/// A larger number is none that was counted up to.
inline constexpr std::int64_t max_piece_number = std::int64_t{1} << 60;
/// Shorter pieces stand in the entry as they are; so does a text that is short as a whole.
inline constexpr std::size_t min_piece_bytes = 64;
inline constexpr std::size_t min_cut_bytes = 256;

/// What an entry is to a table's bounds.
enum class piece_share {
  none,  // it is not cut
  free,
  charged,
};

class piece_table {
 public:
  /// `text` as it stands in an entry. Pieces that the file does not have yet are pending.
  nlohmann::json store(std::string text, piece_share of = piece_share::charged);
  /// The lines that define what is pending; they must stand before the entry.
  std::string pending_lines() const;
  /// What was pending is in the file.
  void commit();
  /// It is not, and nothing that store() returned since the last commit() may be used.
  void roll_back();

  /// Of a transcript that is gone on with: the first number that is free. What the file has is not
  /// named again, since nobody knows whether it is whole.
  void go_on_from(std::int64_t number) { next_ = number; }

  std::size_t size() const { return known_.size(); }

 private:
  struct pending_piece {
    std::string sha256;
    std::string text;
    piece_share of = piece_share::charged;
  };
  bool may_cut(piece_share of) const;
  std::int64_t number_of(std::string_view piece, piece_share of);

  std::unordered_map<std::string, std::int64_t> known_;  // by digest; pending ones too
  std::vector<pending_piece> pending_;
  std::int64_t next_ = 0;
  std::size_t free_ = 0;     // of known_
  std::size_t charged_ = 0;  // of known_
};

/// What a "zstd" holds, which must be exactly `bytes` long; no more is ever unpacked.
result<std::string> unpack_frame(std::string_view base64, std::size_t bytes);

}  // namespace germline::worker
