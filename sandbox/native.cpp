#include "sandbox/native.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <vector>

#include "sandbox/native_sandbox.hpp"
#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"
#include "sandbox/zygote_link.hpp"

namespace germline {
namespace {

using protocol::kind;

result<void> check_helper(const std::string& path) {
  if (::access(path.c_str(), X_OK) == 0) return {};
  return errno_error("the helper program '" + path + "'", errno);
}

/// In the forked child: no allocation, only system calls.
[[noreturn]] void exec_zygote(char* const* argv, int socket, int lifeline) {
  const int high_socket = ::fcntl(socket, F_DUPFD, 64);
  const int high_lifeline = ::fcntl(lifeline, F_DUPFD, 64);
  if (high_socket < 0 || high_lifeline < 0 || ::dup2(high_socket, 3) < 0 ||
      ::dup2(high_lifeline, 4) < 0) {
    ::_exit(127);
  }
  ::close_range(5, ~0U, 0);
  ::setsid();  // a terminal's interrupt is for the worker, which then ends us
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  char* const env[] = {nullptr};
  ::execve(argv[0], argv, env);
  ::_exit(127);
}

std::vector<std::string> zygote_arguments(const native_options& options) {
  return {options.zygote_path,
          "--init",
          options.init_path,
          "--as-candidate",
          options.as_candidate_path,
          "--exports",
          options.exports_root,
          "--instance",
          options.instance,
          "--slots",
          std::to_string(options.slots),
          "--uid-base",
          std::to_string(options.uid_base)};
}

}  // namespace

void native_backend::find_helpers(native_options& options) {
  std::array<char, PATH_MAX> self{};
  const auto size = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  const std::string path(self.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  const auto folder = path.substr(0, path.rfind('/'));
  const std::pair<std::string*, const char*> helpers[] = {
      {&options.zygote_path, "germline-zygote"},
      {&options.init_path, "germline-init"},
      {&options.as_candidate_path, "germline-as-candidate"}};
  for (const auto& [where, name] : helpers) {
    const auto beside = folder + "/" + name;
    if (where->empty()) {
      *where =
          ::access(beside.c_str(), X_OK) == 0 ? beside : folder + "/../libexec/germline/" + name;
    }
  }
}

result<std::unique_ptr<native_backend>> native_backend::start(const native_options& options) {
  if (::geteuid() != 0) {
    return error(error_code::permission_denied, "the native sandbox must be started by root");
  }
  for (const auto* path : {&options.zygote_path, &options.init_path, &options.as_candidate_path}) {
    GERMLINE_TRY(check_helper(*path));
  }
  GERMLINE_TRY_ASSIGN(auto ends, make_seqpacket_pair());
  int lifeline_ends[2];
  if (::pipe2(lifeline_ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const unique_fd watched(lifeline_ends[0]);
  unique_fd held(lifeline_ends[1]);
  auto words = zygote_arguments(options);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const auto pid = ::fork();
  if (pid < 0) return errno_error("fork of the zygote", errno);
  if (pid == 0) exec_zygote(argv.data(), ends.second.get(), watched.get());
  ends.second.reset();
  std::unique_ptr<native_backend> made(new native_backend(std::move(ends.first), pid));
  made->lifeline_ = std::move(held);
  return made;
}

std::unique_ptr<native_backend> native_backend::adopt(unique_fd zygote_socket) {
  return std::unique_ptr<native_backend>(new native_backend(std::move(zygote_socket), 0));
}

native_backend::native_backend(unique_fd socket, pid_t pid)
    : link_(std::make_shared<zygote_link>(std::move(socket))), zygote_pid_(pid) {}

native_backend::~native_backend() {
  link_->close();
  if (zygote_pid_ > 0) ::waitpid(zygote_pid_, nullptr, 0);
}

result<std::unique_ptr<sandbox>> native_backend::prepare(const sandbox_policy& policy) {
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(kind::create)).text(policy.encode());
  GERMLINE_TRY_ASSIGN(auto answer, link_->ask(out.bytes()));
  wire::reader in(answer.bytes);
  const auto what = static_cast<kind>(in.u8());
  native_sandbox::origin from;
  from.zygote = link_;
  from.supervisor = static_cast<pid_t>(in.u32());
  from.name = in.text();
  if (what != kind::created || !in.finished() || answer.fds.size() != 1) {
    return error(error_code::internal, "the zygote's answer is malformed");
  }
  return native_sandbox::connect(std::move(answer.fds[0]), std::move(from));
}

result<void> native_backend::recover() {
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(kind::recover));
  GERMLINE_TRY(link_->ask(out.bytes()));
  return {};
}

}  // namespace germline
