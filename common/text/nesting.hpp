// nesting: how deep brackets of a JSON text are within each other, so that who walks over what was
// parsed of it may refuse what no stack has room for. Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace germline {

/// Of a text that is no JSON some number, too.
std::size_t json_nesting(std::string_view text);

}  // namespace germline
