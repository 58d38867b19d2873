// openai_shape: what both dialects of OpenAI have in common: how errors and lists of models look,
// and what an image may cost.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace germline::worker::openai {

/// What a provider may add to a prompt on its own.
constexpr std::int64_t provider_prompt_tokens = 2000;
/// Of the model that counts most tokens for a picture, at the highest resolution.
constexpr std::int64_t image_tokens = 50'000;

/// {"message": …, "type": …, "param": null, "code": …}
nlohmann::json error_object(unsigned status, std::string_view message);
/// {"error": {…}}
std::string error(unsigned status, std::string_view message);
std::string models(std::string_view model, bool only);
/// Text for a body or an event, whatever bytes are in it.
std::string written(const nlohmann::json& value);

}  // namespace germline::worker::openai
