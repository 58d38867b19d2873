// reply_reading: what a story's reply may have, and the reading of one, so that whatever was read
// can be told (docs/scripted-provider.md). `where` says the place in the story, for errors. Pure.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline::scripted {

/// An error: at `where`, `right`, and not `got`.
error not_right(const std::string& where, const std::string& right, const nlohmann::json& got);

/// Refuses what nobody reads: a misspelt guard would demand nothing.
result<void> only_keys(const nlohmann::json& item, std::initializer_list<std::string_view> known,
                       const std::string& where);

/// The reply as messages_reply and openai_dialects take it; `retry_after` is a string.
result<nlohmann::json> read_reply(const nlohmann::json& given, const std::string& where);

}  // namespace germline::scripted
