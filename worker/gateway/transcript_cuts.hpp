// transcript_cuts: where a request is cut into pieces that come again, byte for byte, in the next
// request of the same conversation: behind each element of the lists `messages`, `input`, `tools`
// and `system` at the top level of a JSON object. It judges nothing: pieces put together are the
// text again, whatever that is, and a text that is no JSON is merely cut badly.
// Pure; any thread. Takes one pass and no memory but for the places.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace germline::worker {

/// What lies behind the last cut of a text is one piece, however many elements it has.
inline constexpr std::size_t max_cuts = 16'384;
/// Longer pieces are cut again, each so long.
inline constexpr std::size_t max_piece_bytes = 4 << 20;

/// The pieces of `text`, in their order; none is empty. An element has the comma before it with
/// it, so that it is the same piece whether or not more follow.
std::vector<std::string_view> cut_pieces(std::string_view text);

/// `text` as few pieces as may be.
std::vector<std::string_view> whole_pieces(std::string_view text);

/// How many elements the list of messages has (`messages`, else `input`), as far as can be seen
/// without judging; 0: there is no such list.
std::size_t count_messages(std::string_view text);

}  // namespace germline::worker
