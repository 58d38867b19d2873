#include "worker/gateway/transcript_pieces.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include <zstd.h>

#include "common/assert.hpp"
#include "common/hash.hpp"
#include "worker/gateway/base64.hpp"
#include "worker/gateway/transcript_cuts.hpp"

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr int compression_level = 3;

std::string packed(std::string_view text) {
  std::string frame(::ZSTD_compressBound(text.size()), '\0');
  const auto size =
      ::ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), compression_level);
  GERMLINE_ASSERT(::ZSTD_isError(size) == 0);
  frame.resize(size);
  return frame;
}

/// The parts of a text: neighbours are put together as they come.
class parts {
 public:
  void add_text(std::string_view text) {
    if (count_ == 0 && !list_.empty()) {
      list_.back().get_ref<std::string&>() += text;
      return;
    }
    end_run();
    list_.push_back(std::string(text));
  }
  void add_piece(std::int64_t number) {
    if (count_ > 0 && number == first_ + count_) {
      ++count_;
      return;
    }
    end_run();
    first_ = number;
    count_ = 1;
  }
  json take() {
    end_run();
    return std::move(list_);
  }

 private:
  void end_run() {
    if (count_ == 1) list_.push_back(first_);
    if (count_ > 1) list_.push_back(json::array({first_, count_}));
    count_ = 0;
  }

  json list_ = json::array();
  std::int64_t first_ = 0;
  std::int64_t count_ = 0;  // of the run that has not ended
};

}  // namespace

bool piece_table::may_cut(piece_share of) const {
  if (of == piece_share::none) return false;
  if (of == piece_share::free) return free_ < max_free_pieces;
  return charged_ + std::min(free_, max_free_pieces) < max_pieces;
}

json piece_table::store(std::string text, piece_share of) {
  if (text.size() < min_cut_bytes && is_utf8(text)) return text;
  parts made;
  const auto pieces = may_cut(of) ? cut_pieces(text) : whole_pieces(text);
  for (const auto piece : pieces) {
    if (piece.size() < min_piece_bytes && is_utf8(piece)) {
      made.add_text(piece);
    } else {
      made.add_piece(number_of(piece, of));
    }
  }
  return made.take();
}

std::int64_t piece_table::number_of(std::string_view piece, piece_share of) {
  const auto [place, is_new] = known_.try_emplace(sha256_hex(piece), next_);
  if (is_new) {
    pending_.push_back({place->first, std::string(piece), of});
    ++next_;
    free_ += of == piece_share::free ? 1 : 0;
    charged_ += of == piece_share::charged ? 1 : 0;
  }
  return place->second;
}

std::string piece_table::pending_lines() const {
  std::string lines;
  auto number = next_ - static_cast<std::int64_t>(pending_.size());
  for (std::size_t at = 0; at < pending_.size();) {
    json line = {{"from", number}, {"pieces", json::array()}};
    std::string texts;
    do {
      const auto& [sha256, text, of] = pending_[at];
      line["pieces"].push_back(json::array({sha256, text.size()}));
      texts += text;
      ++number;
      ++at;
    } while (at < pending_.size() && texts.size() + pending_[at].text.size() <= frame_bytes);
    line["zstd"] = to_base64(packed(texts));
    lines += line.dump() + "\n";
  }
  return lines;
}

void piece_table::commit() {
  pending_.clear();
}

void piece_table::roll_back() {
  // Their numbers are not used again: a line of them may be there, before one that is torn.
  for (const auto& piece : pending_) {
    known_.erase(piece.sha256);
    free_ -= piece.of == piece_share::free ? 1 : 0;
    charged_ -= piece.of == piece_share::charged ? 1 : 0;
  }
  pending_.clear();
}

result<std::string> unpack_frame(std::string_view base64, std::size_t bytes) {
  const error bad(error_code::data_loss, "the pieces of a transcript cannot be unpacked");
  if (bytes > max_frame_bytes) {
    return error(error_code::data_loss,
                 "a transcript's line says to hold " + std::to_string(bytes) +
                     " bytes; none holds more than " + std::to_string(max_frame_bytes));
  }
  GERMLINE_TRY_ASSIGN(const auto frame, from_base64(base64));
  std::string text(bytes, '\0');
  const auto size = ::ZSTD_decompress(text.data(), text.size(), frame.data(), frame.size());
  if (::ZSTD_isError(size) != 0 || size != bytes) return bad;
  return text;
}

}  // namespace germline::worker
