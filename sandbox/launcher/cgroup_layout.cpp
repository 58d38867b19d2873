#include "sandbox/launcher/cgroup_layout.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "sandbox/launcher/text_file.hpp"

namespace germline {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

struct cgroup_mount {
  std::string_view root;
  std::string_view point;
  std::string_view type;
  std::vector<std::string_view> options;
};

std::vector<cgroup_mount> cgroup_mounts(std::string_view mountinfo) {
  std::vector<cgroup_mount> found;
  for (const auto line : split(mountinfo, '\n')) {
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4) continue;
    const auto type = *(dash + 1);
    if (type != "cgroup" && type != "cgroup2") continue;
    found.push_back({fields[3], fields[4], type, split(*(dash + 3), ',')});
  }
  return found;
}

/// Our directory below the mount, from the path that /proc/self/cgroup gives.
std::string directory_of(const cgroup_mount& mount, std::string_view path) {
  if (mount.root != "/" && path.starts_with(mount.root)) path.remove_prefix(mount.root.size());
  if (path == "/" || path.find("..") != std::string_view::npos) path = "";
  return std::string(mount.point) + std::string(path);
}

}  // namespace

std::string_view to_string(cgroup_mode mode) noexcept {
  switch (mode) {
    case cgroup_mode::v1:
      return "v1";
    case cgroup_mode::v2:
      return "v2";
    case cgroup_mode::hybrid:
      return "hybrid";
  }
  return "unknown";
}

result<cgroup_layout> detect_cgroups(std::string_view mountinfo, std::string_view self_cgroup) {
  constexpr std::array wanted{"memory", "pids", "cpu", "cpuacct", "freezer"};
  cgroup_layout layout;
  const auto mounts = cgroup_mounts(mountinfo);
  for (const auto line : split(self_cgroup, '\n')) {
    const auto first = line.find(':');
    const auto second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const auto path = line.substr(second + 1);
    for (const auto& mount : mounts) {
      if (controllers.empty()) {
        if (mount.type == "cgroup2" && layout.v2.empty()) layout.v2 = directory_of(mount, path);
        continue;
      }
      if (mount.type != "cgroup") continue;
      for (const auto controller : split(controllers, ',')) {
        if (std::find(wanted.begin(), wanted.end(), controller) == wanted.end()) continue;
        if (std::find(mount.options.begin(), mount.options.end(), controller) ==
            mount.options.end()) {
          continue;
        }
        layout.v1.emplace(std::string(controller), directory_of(mount, path));
      }
    }
  }
  if (layout.v1.empty() && layout.v2.empty()) {
    return error(error_code::not_found, "no cgroup file system is mounted");
  }
  layout.mode = layout.v2.empty()   ? cgroup_mode::v1
                : layout.v1.empty() ? cgroup_mode::v2
                                    : cgroup_mode::hybrid;
  return layout;
}

result<cgroup_layout> detect_own_cgroups() {
  GERMLINE_TRY_ASSIGN(const auto mountinfo, read_text_file("/proc/self/mountinfo"));
  GERMLINE_TRY_ASSIGN(const auto own, read_text_file("/proc/self/cgroup"));
  return detect_cgroups(mountinfo, own);
}

}  // namespace germline
