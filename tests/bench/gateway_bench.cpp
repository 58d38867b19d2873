// gateway_bench: what the gateway costs: latency, first byte, processor time and memory, with
// bodies of 60 KB, beside nginx as a reverse proxy and beside no proxy at all, in the same run
// before the same provider. Rounds of the three ways take turns, so that what else the machine does
// meets all alike.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>
#include <thread>

#include "tests/bench/fast_upstream.hpp"
#include "tests/bench/http_load.hpp"
#include "tests/bench/proxies.hpp"

namespace germline::bench {
namespace {

constexpr std::size_t body_bytes = 60'000;
constexpr std::size_t small_body_bytes = 1'000;
constexpr std::size_t open_streams = 1'000;
constexpr useconds_t settled_us = 2'000'000;  // what a burst needed is given back by then
constexpr std::size_t rounds = 20;
constexpr std::size_t busy_connections = 8;

struct options {
  std::size_t requests = 2'000;  // of each way and kind
  bool transcripts = false;
};

/// A conversation of so many bytes, of words.
std::string request(bool streams, bool holds, std::size_t bytes) {
  std::string said;
  while (said.size() < std::min<std::size_t>(900, bytes / 2))
    said += "some words as people use them, ";
  std::string body = std::string(R"({"stream":)") + (streams ? "true" : "false") +
                     R"(,"model":"bench-1","max_tokens":100,"stop_sequences":[)" +
                     (holds ? held : "\"end\"") + R"(],"messages":[)";
  while (body.size() + 3 * said.size() < bytes) {
    body += R"({"role":"user","content":")" + said + R"("},{"role":"assistant","content":")" +
            said + R"("},)";
  }
  body += R"({"role":"user","content":")" + said + R"("}]})";
  return "POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
         "anthropic-version: 2023-06-01\r\ncontent-length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

double ms_at(std::vector<std::int64_t> times_ns, double share) {
  if (times_ns.empty()) return 0;
  std::sort(times_ns.begin(), times_ns.end());
  const auto at = static_cast<std::size_t>(static_cast<double>(times_ns.size() - 1) * share);
  return static_cast<double>(times_ns[at]) / 1e6;
}

/// One way to the provider, and what was measured of it.
struct way {
  const char* name;
  unsigned port = 0;
  pid_t proxy = 0;  // 0: there is none
  timings times;
  std::int64_t cpu_ns = 0;
};

void report(const way& of) {
  std::printf("  %-8s p50 %7.3f   p99 %7.3f   first byte p50 %7.3f   p99 %7.3f ms", of.name,
              ms_at(of.times.whole_ns, 0.5), ms_at(of.times.whole_ns, 0.99),
              ms_at(of.times.first_ns, 0.5), ms_at(of.times.first_ns, 0.99));
  if (of.proxy != 0) {
    std::printf("   cpu %6.1f us",
                static_cast<double>(of.cpu_ns) / 1e3 /
                    static_cast<double>(std::max<std::size_t>(1, of.times.whole_ns.size())));
  }
  std::printf("\n");
}

void compare(const std::vector<way>& ways) {
  const auto added = [&](const way& of, double share) {
    return ms_at(of.times.whole_ns, share) - ms_at(ways[0].times.whole_ns, share);
  };
  const auto& gateway = ways.back();
  std::printf("  added by the gateway: p50 %.3f, p99 %.3f ms", added(gateway, 0.5),
              added(gateway, 0.99));
  if (ways.size() > 2) {
    const auto& beside = ways[1];
    std::printf("; by nginx: p50 %.3f, p99 %.3f ms; ratio of p50 %.2f (aim: at most 1.50)",
                added(beside, 0.5), added(beside, 0.99), added(gateway, 0.5) / added(beside, 0.5));
  }
  std::printf("\n\n");
}

template <class Run>
void measure(way& one, std::size_t connections, const std::string& asked, Run run) {
  http_load load(one.port, connections, asked);
  timings warm;
  load.run(2 * connections, warm);  // the proxy's connections are made
  const auto before = one.proxy != 0 ? cpu_ns_of(one.proxy) : 0;
  run(load, one.times);
  if (one.proxy != 0) one.cpu_ns += cpu_ns_of(one.proxy) - before;
}

void one_at_a_time(std::vector<way> ways, bool streams, std::size_t count) {
  const auto asked = request(streams, false, body_bytes);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (auto& one : ways) {
      measure(one, 1, asked,
              [&](http_load& load, timings& into) { load.run(count / rounds, into); });
    }
  }
  std::printf("%s, one at a time, %zu of each:\n", streams ? "streams" : "whole answers", count);
  for (const auto& one : ways) report(one);
  compare(ways);
}

void at_half_load(std::vector<way> ways, std::size_t count) {
  const auto asked = request(true, false, body_bytes);
  way most = ways.back();
  measure(most, busy_connections, asked,
          [&](http_load& load, timings& into) { load.run(count, into); });
  const double whole_load =
      static_cast<double>(count) * 1e9 / static_cast<double>(most.times.lasted_ns);
  for (std::size_t round = 0; round < rounds / 2; ++round) {
    for (auto& one : ways) {
      measure(one, 2 * busy_connections, asked, [&](http_load& load, timings& into) {
        load.run_at(whole_load / 2, count * 2 / rounds, into);
      });
    }
  }
  std::printf("streams at %.0f a second, half of the %.0f that the gateway does at most here:\n",
              whole_load / 2, whole_load);
  for (const auto& one : ways) report(one);
  compare(ways);
}

/// What is still to be done of requests that have ended is not to be counted with the next ones.
void wait_until_idle(pid_t proxy) {
  constexpr std::int64_t idle_ns = 2'000'000;
  for (int i = 0; i < 100; ++i) {
    const auto before = cpu_ns_of(proxy);
    ::usleep(100'000);
    if (cpu_ns_of(proxy) - before < idle_ns) return;
  }
}

void with_open_streams(const way& through, std::size_t bytes) {
  const auto before = resident_kib_of(through.proxy);
  auto load = std::make_unique<http_load>(through.port, open_streams, request(true, true, bytes));
  load->begin("message_start");
  ::usleep(settled_us);
  const auto after = resident_kib_of(through.proxy);
  std::printf("  %-8s bodies of %2zu KB: %6.1f MiB resident, before them %5.1f\n", through.name,
              bytes / 1'000, static_cast<double>(after) / 1'024,
              static_cast<double>(before) / 1'024);
  load.reset();
  wait_until_idle(through.proxy);
}

void say_load(const char* when) {
  double load[3] = {};
  ::getloadavg(load, 3);
  std::printf("%s: %u cores, load average %.2f %.2f %.2f\n\n", when,
              std::thread::hardware_concurrency(), load[0], load[1], load[2]);
}

int run(const options& chosen, const std::string& gateway_binary) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  std::string folder = "/tmp/gateway_bench.XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr || ::chmod(folder.c_str(), 0755) != 0) return 1;
  {
    const fast_upstream provider;
    const auto beside = nginx::start(folder, provider.port());
    gateway measured(gateway_binary, folder, provider.port(), chosen.transcripts);
    std::vector<way> ways{{"direct", provider.port()}};
    if (beside) {
      ways.push_back({"nginx", beside->port(), beside->pid()});
    } else {
      std::printf(
          "nginx is not installed: there is nothing to compare with. "
          "apt-get install nginx-light\n");
    }
    ways.push_back({"gateway", measured.port(), measured.pid()});
    say_load("at the beginning");
    std::printf("%zu streams open (aim: the gateway within 64 MiB):\n", open_streams);
    for (const auto bytes : {small_body_bytes, body_bytes}) {
      for (std::size_t i = 1; i < ways.size(); ++i) with_open_streams(ways[i], bytes);
    }
    std::printf("\n");
    for (const bool streams : {false, true}) one_at_a_time(ways, streams, chosen.requests);
    at_half_load(ways, chosen.requests);
    const auto account = measured.close();
    std::printf("metered: %ld requests, %ld input and %ld output tokens, %ld nano-dollars\n",
                account.requests, account.input_tokens, account.output_tokens,
                account.cost_nanousd);
    say_load("at the end");
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace germline::bench

int main(int argc, char** argv) {
  ::setvbuf(stdout, nullptr, _IOLBF, 0);
  germline::bench::options chosen;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--transcripts") {
      chosen.transcripts = true;
    } else {
      chosen.requests = static_cast<std::size_t>(std::max(100, std::atoi(argv[i])));
    }
  }
  const auto self = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return germline::bench::run(chosen, (self / "germline-gateway").string());
}
