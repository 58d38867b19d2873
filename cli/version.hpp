// version: of this binary, as CMake's project() has it. A constant.
#pragma once

#include <string_view>

namespace germline::cli {

inline constexpr std::string_view version = GERMLINE_VERSION;

}  // namespace germline::cli
