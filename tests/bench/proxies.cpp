#include "tests/bench/proxies.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "common/clock.hpp"
#include "tests/bench/fast_upstream.hpp"

namespace germline::bench {
namespace {

namespace fs = std::filesystem;

constexpr uid_t gateway_uid = 61'234;
constexpr std::int64_t plenty = 1'000'000'000'000'000;
const std::string attempt_name = "att_0190f3c2a1b27c3d8e4f5a6b7c8d9e0f";

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "gateway_bench: %s\n", why.c_str());
  std::exit(1);
}

bool answers(unsigned port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const unique_fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/// One process with one thread, as the gateway is; nothing is written to a log or a disk.
void write_nginx_config(const std::string& folder, unsigned port, unsigned upstream_port) {
  std::ofstream file(folder + "/nginx.conf");
  file << "daemon off;\nmaster_process off;\nworker_processes 1;\nworker_rlimit_nofile 8192;\n"
       << "pid " << folder << "/nginx.pid;\nerror_log " << folder << "/nginx.log crit;\n"
       << "events { worker_connections 4096; }\nhttp {\n  access_log off;\n";
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    file << "  " << kind << "_temp_path " << folder << "/" << kind << ";\n";
  }
  file << "  client_max_body_size 32m;\n  client_body_buffer_size 128k;\n"
       << "  keepalive_requests 1000000;\n"
       << "  upstream provider {\n    server 127.0.0.1:" << upstream_port
       << ";\n    keepalive 1100;\n    keepalive_requests 1000000;\n  }\n"
       << "  server {\n    listen 127.0.0.1:" << port
       << ";\n    location / {\n      proxy_pass http://provider;\n      proxy_http_version 1.1;\n"
       << "      proxy_set_header Connection \"\";\n      proxy_buffering off;\n    }\n  }\n}\n";
}

std::vector<fs::path> threads_of(pid_t process) {
  std::vector<fs::path> all;
  std::error_code failed;
  for (const auto& thread :
       fs::directory_iterator("/proc/" + std::to_string(process) + "/task", failed)) {
    all.push_back(thread.path());
  }
  return all;
}

void keep_on(pid_t process, int core) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(core, &only);
  for (const auto& thread : threads_of(process)) {
    ::sched_setaffinity(std::atoi(thread.filename().c_str()), sizeof only, &only);
  }
}

}  // namespace

std::int64_t cpu_ns_of(pid_t process) {
  std::int64_t sum = 0;
  for (const auto& thread : threads_of(process)) {
    std::int64_t on_cpu_ns = 0;
    std::ifstream(thread / "schedstat") >> on_cpu_ns;
    sum += on_cpu_ns;
  }
  return sum;
}

std::int64_t resident_kib_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6);
  }
  return 0;
}

two_cores::two_cores() {
  cpu_set_t all;
  if (::sched_getaffinity(0, sizeof all, &all) != 0) return;
  for (int core = 0; core < CPU_SETSIZE && second_ < 0; ++core) {
    if (CPU_ISSET(core, &all)) (first_ < 0 ? first_ : second_) = core;
  }
}

void two_cores::stay_on_first() const {
  if (are_there()) keep_on(::getpid(), first_);
}

void two_cores::move_to_second(pid_t process) const {
  if (are_there()) keep_on(process, second_);
}

std::unique_ptr<nginx> nginx::start(const std::string& folder, unsigned upstream_port) {
  std::string binary;
  for (const char* place : {"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"}) {
    if (binary.empty() && ::access(place, X_OK) == 0) binary = place;
  }
  if (binary.empty()) return nullptr;
  std::unique_ptr<nginx> started(new nginx);
  ::close(listen_anywhere(started->port_));  // nginx wants a number
  write_nginx_config(folder, started->port_, upstream_port);
  const auto config = folder + "/nginx.conf";
  const auto log = folder + "/nginx.log";
  started->process_ = ::fork();
  if (started->process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execl(binary.c_str(), "nginx", "-p", folder.c_str(), "-e", log.c_str(), "-c", config.c_str(),
            nullptr);
    ::_exit(127);
  }
  for (int waited_ms = 0; waited_ms < 5'000; waited_ms += 10) {
    if (answers(started->port_)) return started;
    ::usleep(10'000);
  }
  give_up("nginx does not start; try: " + binary + " -p " + folder + " -c " + config);
}

nginx::~nginx() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

gateway::gateway(const std::string& binary, const std::string& folder, unsigned upstream_port,
                 bool transcripts) {
  std::ofstream(folder + "/prices.json")
      << R"({"schema": 1, "models": [{"model": "bench-1", "input": 1000000000,
      "output": 2000000000, "cache_write": 1000000000, "cache_write_1h": 1000000000,
      "cache_read": 1000000000}]})";
  std::ofstream config(folder + "/gateway.toml");
  config << "schema = 1\n[upstream]\nurl = \"http://127.0.0.1:" << upstream_port
         << "\"\n[prices]\nfile = \"" << folder
         << "/prices.json\"\n[limits]\nmax_connections = 1100\nmax_held_bytes = 268435456\n";
  if (transcripts) {
    fs::create_directory(folder + "/transcripts");
    ::chmod((folder + "/transcripts").c_str(), 0777);  // as root the gateway has another account
    config << "[transcripts]\ndirectory = \"" << folder
           << "/transcripts\"\nmax_bytes = 1099511627776\n";
  }
  config.close();
  worker::gateway_spec spec;
  spec.binary = binary;
  spec.config_file = folder + "/gateway.toml";
  spec.keys = {{"", "sk-bench-key-0123456789"}};
  if (::geteuid() == 0) {
    spec.uid = gateway_uid;
    spec.gid = gateway_uid;
  }
  auto started = worker::gateway_client::start(std::move(spec), {});
  if (!started) give_up(started.error().message());
  client_ = std::move(*started);
  worker::gateway_open door;
  door.attempt_id = attempt_name;
  door.open_to_anyone = true;
  door.model = "bench-1";
  door.deadline_boot_ms = INT64_MAX;
  door.limits = {plenty, plenty, plenty, plenty, plenty};
  door.listener.reset(listen_anywhere(port_));
  if (const auto opened = client_->open(std::move(door)); !opened) {
    give_up(opened.error().message());
  }
}

worker::gateway_account gateway::close() {
  auto account = client_->close(attempt_name);
  if (!account) give_up(account.error().message());
  return *account;
}

}  // namespace germline::bench
