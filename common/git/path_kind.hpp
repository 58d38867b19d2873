// path_kind: what stands at a path of a commit's tree.
#pragma once

namespace germline::git {

enum class path_kind { none, file, executable, folder, other };  // other: a symbolic link, say

}  // namespace germline::git
