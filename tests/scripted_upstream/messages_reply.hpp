// messages_reply: a story's reply written as Anthropic Messages: as one JSON body, or as the events
// of a stream. Usage is made up from sizes (a token every 4 bytes). Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace germline::scripted {

/// `serial` makes ids unique: of the message, and of tool calls whose story gives none.
nlohmann::json message_of(const nlohmann::json& reply, const nlohmann::json& request,
                          std::size_t request_bytes, std::uint64_t serial);

/// `text` in pieces of some 40 bytes, none of which splits a UTF-8 character.
std::vector<std::string> pieces_of(const std::string& text);

/// The events of a stream that says `message`, each a whole "event: …\ndata: …\n\n".
std::vector<std::string> events_of(const nlohmann::json& message);

}  // namespace germline::scripted
