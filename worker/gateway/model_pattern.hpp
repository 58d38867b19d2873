// model_pattern: how the configuration and the price file name models: by name, or by a beginning
// with a `*` behind it. Pure.
#pragma once

#include <string_view>

namespace germline::worker {

/// What is_model_pattern asks for, as people are told.
inline constexpr std::string_view model_pattern_form =
    "a model's name, with or without a '*' at its end, without control characters and without a "
    "space before or behind it";

bool is_model_pattern(std::string_view text);

/// REQUIRES is_model_pattern(pattern).
bool matches(std::string_view pattern, std::string_view model);

/// Whether a model may be that both match.
bool patterns_meet(std::string_view one, std::string_view other);

}  // namespace germline::worker
