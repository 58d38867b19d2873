// cgroup_layout: where this process stands in the machine's cgroups: pure v1, pure v2, or hybrid
// (v1 controllers beside a v2 hierarchy). Detection is a pure function of two texts. Any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace germline {

enum class cgroup_mode { v1, v2, hybrid };

std::string_view to_string(cgroup_mode mode) noexcept;

struct cgroup_layout {
  cgroup_mode mode = cgroup_mode::v1;
  std::map<std::string, std::string> v1;  // controller -> directory of our own cgroup
  std::string v2;                         // directory of our own cgroup; empty in pure v1
};

/// From the texts of /proc/self/mountinfo and /proc/self/cgroup. not_found: no cgroups are mounted.
result<cgroup_layout> detect_cgroups(std::string_view mountinfo, std::string_view self_cgroup);

/// The same from this machine's files.
result<cgroup_layout> detect_own_cgroups();

}  // namespace germline
