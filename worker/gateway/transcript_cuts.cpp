#include "worker/gateway/transcript_cuts.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace germline::worker {
namespace {

constexpr std::array<std::string_view, 4> lists = {"messages", "input", "tools", "system"};

/// Walks over a text that may be JSON, and tells where elements of the lists begin and end.
class walker {
 public:
  explicit walker(std::string_view text) : text_(text) {}

  /// Calls `at_cut(place, list)` in rising order, until it returns false. `list` is empty behind a
  /// list's last element.
  template <class AtCut>
  void walk(AtCut at_cut) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        take_string();
        continue;
      }
      if (c == '{' || c == '[') {
        ++depth_;
        ++at_;
        if (depth_ == 1) {
          if (c == '[') return;  // no object
          at_key_ = true;
        } else if (depth_ == 2 && c == '[' && is_list()) {
          in_list_ = true;
          const bool is_empty = next_is(']');
          if (!is_empty && !at_cut(at_, list_)) return;
        }
        continue;
      }
      if (c == '}' || c == ']') {
        --depth_;
        if (in_list_ && depth_ == 1) {
          in_list_ = false;
          if (!at_cut(at_, std::string_view())) return;
        }
        if (depth_ <= 0) return;
      } else if (c == ',') {
        if (in_list_ && depth_ == 2 && !at_cut(at_, list_)) return;
        if (depth_ == 1) at_key_ = true;
      } else if (c == ':' && depth_ == 1) {
        at_key_ = false;
      } else if (depth_ == 0 && c != ' ' && c != '\n' && c != '\r' && c != '\t') {
        return;  // no object
      }
      ++at_;
    }
  }

 private:
  void take_string() {
    const auto begin = at_ + 1;
    auto end = begin;
    while (end < text_.size() && text_[end] != '"') {
      if (text_[end] == '\\') ++end;
      end = std::min(text_.find_first_of("\"\\", end + 1), text_.size());
    }
    end = std::min(end, text_.size());
    if (depth_ == 1 && at_key_) list_ = text_.substr(begin, end - begin);
    at_ = end + 1;
  }
  bool is_list() const { return std::ranges::find(lists, list_) != lists.end(); }
  bool next_is(char wanted) const {
    const auto next = text_.find_first_not_of(" \t\r\n", at_);
    return next != text_.npos && text_[next] == wanted;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view list_;  // the last key at the top level
  long depth_ = 0;
  bool at_key_ = false;
  bool in_list_ = false;
};

void add_piece(std::vector<std::string_view>& pieces, std::string_view piece) {
  for (; piece.size() > max_piece_bytes; piece.remove_prefix(max_piece_bytes)) {
    pieces.push_back(piece.substr(0, max_piece_bytes));
  }
  if (!piece.empty()) pieces.push_back(piece);
}

}  // namespace

std::vector<std::string_view> cut_pieces(std::string_view text) {
  std::vector<std::string_view> pieces;
  std::size_t done = 0;
  std::size_t cuts = 0;
  walker(text).walk([&](std::size_t place, std::string_view) {
    add_piece(pieces, text.substr(done, place - done));
    done = place;
    return ++cuts < max_cuts;
  });
  add_piece(pieces, text.substr(done));
  return pieces;
}

std::vector<std::string_view> whole_pieces(std::string_view text) {
  std::vector<std::string_view> pieces;
  add_piece(pieces, text);
  return pieces;
}

std::size_t count_messages(std::string_view text) {
  std::size_t messages = 0;
  std::size_t input = 0;
  walker(text).walk([&](std::size_t, std::string_view list) {
    if (list == "messages") ++messages;
    if (list == "input") ++input;
    return true;
  });
  return messages > 0 ? messages : input;
}

}  // namespace germline::worker
