// sandbox_bench: what a sandbox costs: median milliseconds from prepare through one process to
// destroy, beside plain fork+exec in the same run, and the latency of kill. Needs root.
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "sandbox/native.hpp"
#include "sandbox/run.hpp"

namespace germline {
namespace {

double now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

[[noreturn]] void give_up(const error& failure) {
  std::fprintf(stderr, "sandbox_bench: %s\n", failure.message().c_str());
  std::exit(1);
}

template <class T>
T must(result<T> value) {
  if (!value) give_up(value.error());
  return std::move(*value);
}

void must(const result<void>& done) {
  if (!done) give_up(done.error());
}

process_spec program(std::vector<std::string> argv) {
  process_spec spec;
  spec.argv = std::move(argv);
  return spec;
}

void report(const char* name, std::vector<double> times_ms) {
  std::sort(times_ms.begin(), times_ms.end());
  const auto at = [&](std::size_t percent) {
    return times_ms[(times_ms.size() - 1) * percent / 100];
  };
  std::printf("%-34s median %7.2f ms   p90 %7.2f ms   max %7.2f ms   n %zu\n", name, at(50), at(90),
              times_ms.back(), times_ms.size());
}

void fork_and_exec() {
  char path[] = "/bin/true";
  char* argv[] = {path, nullptr};
  pid_t pid = 0;
  if (::posix_spawn(&pid, path, nullptr, nullptr, argv, environ) == 0) ::waitpid(pid, nullptr, 0);
}

void whole_life(native_backend& backend, const sandbox_policy& policy) {
  auto where = must(backend.prepare(policy));
  const auto process = must(where->start(program({"/bin/true"})));
  const auto outcome = must(where->wait(process, 10'000));
  if (!outcome.succeeded()) give_up({error_code::internal, "true failed"});
  must(where->destroy());
}

std::vector<double> measure(int count, const std::function<void()>& what) {
  std::vector<double> times_ms;
  for (int i = 0; i < count; ++i) {
    const auto began = now_ms();
    what();
    times_ms.push_back(now_ms() - began);
  }
  return times_ms;
}

/// From calling kill to its proof, with `processes` busy inside.
std::vector<double> kill_latencies(native_backend& backend, const sandbox_policy& policy, int count,
                                   int processes) {
  std::vector<double> times_ms;
  const auto script = "for i in $(seq " + std::to_string(processes) + "); do sleep 60 & done; wait";
  for (int i = 0; i < count; ++i) {
    auto where = must(backend.prepare(policy));
    must(where->start(program({"/bin/bash", "-c", script})));
    (void)run_captured(*where, program({"sleep", "0.2"}), "", {});
    const auto began = now_ms();
    if (!must(where->kill()).proven) give_up({error_code::internal, "a kill without proof"});
    times_ms.push_back(now_ms() - began);
  }
  return times_ms;
}

int run(int count) {
  native_options options;
  native_backend::find_helpers(options);
  options.instance = "bench";
  const auto backend = must(native_backend::start(options));
  must(backend->recover());
  sandbox_policy_spec spec;
  const auto plain = must(sandbox_policy::make(spec));
  spec.gateway_port = 8080;
  const auto with_gateway = must(sandbox_policy::make(spec));
  whole_life(*backend, plain);
  report("fork+exec of true", measure(count, fork_and_exec));
  report("prepare, run true, destroy", measure(count, [&] { whole_life(*backend, plain); }));
  report("the same with a gateway's socket",
         measure(count, [&] { whole_life(*backend, with_gateway); }));
  auto warm = must(backend->prepare(plain));
  report("start and wait in a warm sandbox", measure(count, [&] {
           const auto process = must(warm->start(program({"/bin/true"})));
           must(warm->wait(process, 10'000));
         }));
  report("kill with 1 process", kill_latencies(*backend, plain, std::max(3, count / 10), 1));
  report("kill with 100 processes", kill_latencies(*backend, plain, std::max(3, count / 10), 100));
  return 0;
}

}  // namespace
}  // namespace germline

int main(int argc, char** argv) {
  return germline::run(argc > 1 ? std::max(3, std::atoi(argv[1])) : 100);
}
