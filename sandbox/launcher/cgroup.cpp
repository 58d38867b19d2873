#include "sandbox/launcher/cgroup.hpp"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <set>

#include "common/clock.hpp"
#include "common/unique_fd.hpp"
#include "sandbox/launcher/text_file.hpp"

namespace germline {
namespace {

std::string place(const std::string& own, const std::string& instance, const std::string& name) {
  return own + "/germline/" + instance + "/" + name;
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return errno_error("mkdir " + path, errno);
}

result<void> make_directories(const std::string& own, const std::string& instance,
                              const std::string& name) {
  GERMLINE_TRY(make_directory(own + "/germline"));
  GERMLINE_TRY(make_directory(own + "/germline/" + instance));
  return make_directory(place(own, instance, name));
}

std::vector<pid_t> parse_pids(std::string_view text) {
  std::vector<pid_t> pids;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, failure] = std::from_chars(at, end, pid);
    if (failure != std::errc{}) break;
    if (pid > 0) pids.push_back(pid);
    at = next + 1;
  }
  return pids;
}

/// SIGKILL to a process that is still in a cgroup below `marker`: the number may have passed on to
/// another process since it was read.
void kill_member(pid_t pid, const std::string& marker) {
  unique_fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) return;
  const auto own = read_text_file("/proc/" + std::to_string(pid) + "/cgroup");
  if (!own || own->find(marker) == std::string::npos) return;
  ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
}

long long number_in(const std::string& path) {
  const auto text = read_text_file(path);
  long long value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

/// On a v2 machine: hands the controllers down to `directory`'s children. Where processes stand in
/// the way (only a leaf may hold any), they are moved to a leaf first.
result<void> delegate_controllers(const std::string& directory) {
  const auto wanted = "+memory +pids +cpu";
  const auto file = directory + "/cgroup.subtree_control";
  if (write_text_file(file, wanted)) return {};
  const auto leaf = directory + "/germline-leaf";
  GERMLINE_TRY(make_directory(leaf));
  GERMLINE_TRY_ASSIGN(const auto members, read_text_file(directory + "/cgroup.procs"));
  for (const auto pid : parse_pids(members)) {
    const auto moved = write_text_file(leaf + "/cgroup.procs", std::to_string(pid));
    if (!moved && exists("/proc/" + std::to_string(pid))) return moved.error();
  }
  return write_text_file(file, wanted);
}

result<void> make_folders(const cgroup_layout& layout, const std::string& instance,
                          const std::string& name) {
  for (const auto& [controller, own] : layout.v1) {
    GERMLINE_TRY(make_directories(own, instance, name));
  }
  if (layout.v2.empty()) return {};
  const auto offered = read_text_file(layout.v2 + "/cgroup.controllers");
  if (!offered || offered->find("memory") == std::string::npos) {
    return make_directories(layout.v2, instance, name);
  }
  GERMLINE_TRY(delegate_controllers(layout.v2));
  GERMLINE_TRY(make_directories(layout.v2, instance, name));
  GERMLINE_TRY(delegate_controllers(layout.v2 + "/germline"));
  return delegate_controllers(layout.v2 + "/germline/" + instance);
}

}  // namespace

sandbox_cgroup sandbox_cgroup::existing(const cgroup_layout& layout, const std::string& instance,
                                        const std::string& name) {
  sandbox_cgroup group;
  for (const auto& [controller, own] : layout.v1) {
    if (exists(place(own, instance, name))) {
      group.v1_.emplace_back(controller, place(own, instance, name));
    }
  }
  if (!layout.v2.empty() && exists(place(layout.v2, instance, name))) {
    group.v2_ = place(layout.v2, instance, name);
  }
  return group;
}

result<sandbox_cgroup> sandbox_cgroup::create(const cgroup_layout& layout,
                                              const std::string& instance, const std::string& name,
                                              const sandbox_policy& policy) {
  // Another zygote that ends takes the folders above away as long as they are empty.
  auto made = make_folders(layout, instance, name);
  for (int tries = 0; !made && made.error().code() == error_code::not_found && tries < 10;
       ++tries) {
    made = make_folders(layout, instance, name);
  }
  if (!made) return made.error();
  auto group = existing(layout, instance, name);
  group.v2_controllers_ = !group.v2_.empty() && exists(group.v2_ + "/memory.max");
  const auto limited = group.limit(policy);
  if (!limited) {
    GERMLINE_TRY(group.remove());
    return limited.error();
  }
  return group;
}

const std::string* sandbox_cgroup::v1(const std::string& controller) const {
  for (const auto& [name, directory] : v1_) {
    if (name == controller) return &directory;
  }
  return nullptr;
}

result<void> sandbox_cgroup::limit(const sandbox_policy& policy) const {
  const auto& spec = policy.spec();
  constexpr std::int64_t period_us = 100'000;
  const auto quota = std::to_string(std::max<std::int64_t>(1000, spec.cpu_millis * 100));
  const auto memory = std::to_string(spec.memory_bytes);
  const bool limit_memory = !policy.weakened(weakening::no_memory_limit);
  const bool limit_pids = !policy.weakened(weakening::no_pids_limit);
  const auto pids = std::to_string(spec.pids_max + 1);  // init is one
  if (v2_controllers_) {
    if (limit_memory) {
      GERMLINE_TRY(write_text_file(v2_ + "/memory.max", memory));
      if (exists(v2_ + "/memory.swap.max")) {
        GERMLINE_TRY(write_text_file(v2_ + "/memory.swap.max", "0"));
      }
    }
    if (limit_pids) GERMLINE_TRY(write_text_file(v2_ + "/pids.max", pids));
    return write_text_file(v2_ + "/cpu.max", quota + " " + std::to_string(period_us));
  }
  const auto* memory_dir = v1("memory");
  const auto* pids_dir = v1("pids");
  const auto* cpu_dir = v1("cpu");
  if (memory_dir == nullptr || pids_dir == nullptr || cpu_dir == nullptr) {
    return error(error_code::failed_precondition,
                 "the memory, pids and cpu cgroup controllers are needed; not all are here");
  }
  if (limit_memory) {
    GERMLINE_TRY(write_text_file(*memory_dir + "/memory.limit_in_bytes", memory));
    if (exists(*memory_dir + "/memory.memsw.limit_in_bytes")) {
      GERMLINE_TRY(write_text_file(*memory_dir + "/memory.memsw.limit_in_bytes", memory));
    }
  }
  if (limit_pids) GERMLINE_TRY(write_text_file(*pids_dir + "/pids.max", pids));
  GERMLINE_TRY(write_text_file(*cpu_dir + "/cpu.cfs_period_us", std::to_string(period_us)));
  return write_text_file(*cpu_dir + "/cpu.cfs_quota_us", quota);
}

result<void> sandbox_cgroup::join(pid_t pid) const {
  const auto text = std::to_string(pid);
  for (const auto& [controller, directory] : v1_) {
    GERMLINE_TRY(write_text_file(directory + "/cgroup.procs", text));
  }
  if (v2_.empty()) return {};
  return write_text_file(v2_ + "/cgroup.procs", text);
}

sandbox_usage sandbox_cgroup::read_usage() const {
  sandbox_usage usage;
  if (v2_controllers_) {
    usage.memory_bytes = number_in(v2_ + "/memory.current");
    usage.peak_memory_bytes = number_in(v2_ + "/memory.peak");
    usage.pids = number_in(v2_ + "/pids.current");
    if (const auto text = read_text_file(v2_ + "/memory.events")) {
      usage.oom_kills = keyed_number(*text, "oom_kill");
    }
    if (const auto text = read_text_file(v2_ + "/cpu.stat")) {
      usage.cpu_ms = keyed_number(*text, "usage_usec") / 1000;
    }
    return usage;
  }
  if (const auto* memory = v1("memory")) {
    usage.memory_bytes = number_in(*memory + "/memory.usage_in_bytes");
    usage.peak_memory_bytes = number_in(*memory + "/memory.max_usage_in_bytes");
    if (const auto text = read_text_file(*memory + "/memory.oom_control")) {
      usage.oom_kills = keyed_number(*text, "oom_kill");
    }
  }
  if (const auto* pids = v1("pids")) usage.pids = number_in(*pids + "/pids.current");
  if (const auto* cpu = v1("cpuacct")) usage.cpu_ms = number_in(*cpu + "/cpuacct.usage") / 1000000;
  return usage;
}

std::vector<pid_t> sandbox_cgroup::members() const {
  std::vector<pid_t> all;
  const auto add = [&all](const std::string& directory) {
    if (const auto text = read_text_file(directory + "/cgroup.procs")) {
      const auto pids = parse_pids(*text);
      all.insert(all.end(), pids.begin(), pids.end());
    }
  };
  for (const auto& [controller, directory] : v1_) add(directory);
  if (!v2_.empty()) add(v2_);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

result<void> sandbox_cgroup::kill_all(std::int64_t timeout_ms) const {
  const system_clock_source time;
  const auto until = time.boot_ms() + timeout_ms;
  const auto* freezer = v1("freezer");
  const auto& any = v2_.empty() ? (v1_.empty() ? v2_ : v1_.front().second) : v2_;
  const auto at = any.find("/germline/");
  if (at == std::string::npos) return {};
  const auto marker = any.substr(at);
  for (;;) {
    if (!v2_.empty() && exists(v2_ + "/cgroup.kill")) {
      GERMLINE_TRY(write_text_file(v2_ + "/cgroup.kill", "1"));
    }
    const auto left = members();
    if (left.empty()) return {};
    // Frozen, nobody forks while the list is worked off; a frozen task dies only once thawed.
    if (freezer != nullptr) GERMLINE_TRY(write_text_file(*freezer + "/freezer.state", "FROZEN"));
    for (const auto pid : members()) kill_member(pid, marker);
    if (freezer != nullptr) GERMLINE_TRY(write_text_file(*freezer + "/freezer.state", "THAWED"));
    if (time.boot_ms() > until) {
      return error(error_code::deadline_exceeded,
                   std::to_string(left.size()) + " processes survive in " + any);
    }
    ::poll(nullptr, 0, 2);
  }
}

result<void> sandbox_cgroup::remove() const {
  std::set<std::string> directories;
  for (const auto& [controller, directory] : v1_) directories.insert(directory);
  if (!v2_.empty()) directories.insert(v2_);
  for (const auto& directory : directories) {
    // A cgroup stays busy for a moment after its last process was reaped.
    int tries = 0;
    while (::rmdir(directory.c_str()) != 0 && errno != ENOENT) {
      if (++tries > 1000) return errno_error("rmdir " + directory, errno);
      ::poll(nullptr, 0, 1);
    }
  }
  return {};
}

result<void> sweep_cgroups(const cgroup_layout& layout, const std::string& instance,
                           const std::function<bool(const std::string&)>& in_use) {
  std::set<std::string> names;
  const auto collect = [&](const std::string& own) {
    const std::unique_ptr<DIR, int (*)(DIR*)> list(
        ::opendir((own + "/germline/" + instance).c_str()), &::closedir);
    while (list != nullptr) {
      const auto* entry = ::readdir(list.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (entry->d_type == DT_DIR && name != "." && name != ".." && !in_use(name)) {
        names.insert(name);
      }
    }
  };
  for (const auto& [controller, own] : layout.v1) collect(own);
  if (!layout.v2.empty()) collect(layout.v2);
  for (const auto& name : names) {
    const auto group = sandbox_cgroup::existing(layout, instance, name);
    GERMLINE_TRY(group.kill_all(10'000));
    GERMLINE_TRY(group.remove());
  }
  return {};
}

void remove_empty_folders(const cgroup_layout& layout, const std::string& instance) noexcept {
  const auto remove_below = [&](const std::string& own) {
    ::rmdir((own + "/germline/" + instance).c_str());
    ::rmdir((own + "/germline").c_str());
  };
  for (const auto& [controller, own] : layout.v1) remove_below(own);
  if (!layout.v2.empty()) remove_below(layout.v2);
}

}  // namespace germline
