#include "process_tree.hpp"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace agent {
namespace {

struct entry {
  pid_t parent = 0;
  double started_s = 0;  // after boot
};

double uptime_s() {
  double seconds = 0;
  std::ifstream("/proc/uptime") >> seconds;
  return seconds;
}

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
    if (number == 22) out.started_s = std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  return out;
}

std::map<pid_t, entry> descendants(pid_t root) {
  std::map<pid_t, entry> all, found;
  std::error_code code;
  for (const auto& item : std::filesystem::directory_iterator("/proc", code)) {
    const auto name = item.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      all[std::stoi(name)] = read_entry(item.path());
    }
  }
  bool grew = true;
  while (grew) {
    grew = false;
    for (const auto& [pid, about] : all) {
      const bool child = about.parent == root || found.contains(about.parent);
      if (child && found.emplace(pid, about).second) grew = true;
    }
  }
  return found;
}

}  // namespace

void kill_tree(pid_t root) {
  for (const auto& [pid, about] : descendants(root)) kill(pid, SIGKILL);
}

void kill_younger(pid_t root, std::chrono::milliseconds age) {
  const double oldest_s = uptime_s() - std::chrono::duration<double>(age).count() - 0.05;
  for (const auto& [pid, about] : descendants(root)) {
    if (about.started_s >= oldest_s) kill(pid, SIGKILL);
  }
}

}  // namespace agent
