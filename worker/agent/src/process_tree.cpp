#include "process_tree.hpp"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace agent {
namespace {

struct entry {
  pid_t parent = 0;
  unsigned long long start = 0;
};

// Field 4 of /proc/PID/stat is the parent, field 22 the start in ticks; the name before them may
// hold anything, so reading starts behind its last ')'.
entry read_entry(const std::string& path) {
  std::ifstream in(path + "/stat");
  std::string line;
  std::getline(in, line);
  entry out;
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return out;
  std::istringstream rest(line.substr(name_end + 1));
  std::string field;
  for (int number = 3; rest >> field; ++number) {
    if (number == 4) out.parent = std::stoi(field);
    if (number == 22) out.start = std::stoull(field);
  }
  return out;
}

// Does not descend into what is in `without`.
process_set descendants(pid_t root, const process_set& without) {
  std::map<pid_t, entry> all;
  std::error_code code;
  for (const auto& item : std::filesystem::directory_iterator("/proc", code)) {
    const auto name = item.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      all[std::stoi(name)] = read_entry(item.path());
    }
  }
  process_set found;
  bool grew = true;
  while (grew) {
    grew = false;
    for (const auto& [pid, about] : all) {
      const auto same = without.find(pid);
      if (same != without.end() && same->second == about.start) continue;
      const bool child = about.parent == root || found.contains(about.parent);
      if (child && found.emplace(pid, about.start).second) grew = true;
    }
  }
  return found;
}

}  // namespace

process_set descendants_of(pid_t root) {
  return descendants(root, {});
}

void kill_tree(pid_t root, const process_set& spared) {
  for (const auto& [pid, start] : descendants(root, spared)) kill(pid, SIGKILL);
}

}  // namespace agent
