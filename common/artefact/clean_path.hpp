// clean_path: what a file of an artefact may be called. Pure.
#pragma once

#include <string_view>

namespace germline::artefact {

/// Relative, at most 1,024 bytes, no NUL, no empty, "." or ".." component.
bool is_clean_path(std::string_view path);

}  // namespace germline::artefact
