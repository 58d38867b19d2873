// gateway_bench: what the gateway costs: latency, first byte, processor time and memory, with
// bodies of 60 KB, beside nginx as a reverse proxy, beside the least that libcurl costs (whole
// answers alone) and beside no proxy at all, in the same run before the same provider. Blocks of a
// few requests of each way take turns, so that what else the machine does meets all alike, and are
// compared with each other. Where there are two cores the proxies have one, the rest the other.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>

#include "tests/bench/curl_proxy.hpp"
#include "tests/bench/fast_upstream.hpp"
#include "tests/bench/http_load.hpp"
#include "tests/bench/proxies.hpp"

namespace germline::bench {
namespace {

constexpr std::size_t body_bytes = 60'000;
constexpr std::size_t small_body_bytes = 1'000;
constexpr std::size_t open_streams = 1'000;
constexpr useconds_t settled_us = 2'000'000;  // what a burst needed is given back by then
constexpr std::size_t rounds = 15;            // of each way under half load
constexpr std::size_t block_requests = 10;
constexpr double most_added_ratio = 1.5;
constexpr double most_added_p99_ms = 1;
constexpr double most_resident_mib = 64;
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
  std::vector<double> blocks_ms = {};  // of each block the median; under half load the p99
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

const way* find(const std::vector<way>& ways, std::string_view name) {
  const auto found = std::ranges::find_if(ways, [&](const way& one) { return one.name == name; });
  return found == ways.end() ? nullptr : &*found;
}

const char* verdict(bool holds) {
  return holds ? "met" : "missed";
}

double at(std::vector<double> all, double share) {
  if (all.empty()) return 0;
  std::ranges::sort(all);
  const auto last = static_cast<double>(all.size() - 1);
  return all[static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * last)];
}

/// Block by block, of which each way's were run one behind the other: then what else ran at that
/// time was about the same.
std::vector<double> added_by(const way& of, const way& direct) {
  std::vector<double> all;
  for (std::size_t i = 0; i < of.blocks_ms.size(); ++i) {
    all.push_back(of.blocks_ms[i] - direct.blocks_ms[i]);
  }
  return all;
}

/// Round by round: where the machine stops all for some milliseconds, as a shared one does, that is
/// the p99 of every request, but of that round alone.
void compare_rounds(const std::vector<way>& ways) {
  for (std::size_t i = 1; i < ways.size(); ++i) {
    const auto added = added_by(ways[i], ways[0]);
    std::printf(
        "  round by round %s adds to the p99 %.3f ms (quarters of the rounds: %.3f, %.3f)\n",
        ways[i].name, at(added, 0.5), at(added, 0.25), at(added, 0.75));
  }
  const auto added = at(added_by(ways.back(), ways[0]), 0.5);
  std::printf("  p99 added by the gateway (aim: at most %.1f ms): %s\n", most_added_p99_ms,
              verdict(added <= most_added_p99_ms));
}

void compare_blocks(const std::vector<way>& ways) {
  const way* const beside = find(ways, "nginx");
  const auto& gateway = ways.back();
  const auto added = [&](const way& of) { return added_by(of, ways[0]); };
  for (std::size_t i = 1; i < ways.size(); ++i) {
    std::printf("  block by block %s adds %.3f ms, in the quietest tenth %.3f\n", ways[i].name,
                at(added(ways[i]), 0.5), at(added(ways[i]), 0.1));
  }
  if (!beside) return;
  const auto by_gateway = added(gateway);
  const auto by_nginx = added(*beside);
  std::vector<double> ratios;
  for (std::size_t i = 0; i < by_nginx.size(); ++i) {
    if (by_nginx[i] > 0) ratios.push_back(by_gateway[i] / by_nginx[i]);
  }
  // Of the median, by the ranks around it.
  const double reach = ratios.empty() ? 0 : 0.98 / std::sqrt(static_cast<double>(ratios.size()));
  const double ratio = at(ratios, 0.5);
  std::printf(
      "  added latency, gateway to nginx: %.2f (95%% between %.2f and %.2f; aim: at most %.2f): "
      "%s\n",
      ratio, at(ratios, 0.5 - reach), at(ratios, 0.5 + reach), most_added_ratio,
      verdict(ratio <= most_added_ratio));
  std::printf("  in the quietest tenth of each: %.2f; processor time: %.2f\n\n",
              at(by_gateway, 0.1) / at(by_nginx, 0.1),
              static_cast<double>(gateway.cpu_ns) / static_cast<double>(beside->cpu_ns));
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
  std::vector<std::unique_ptr<http_load>> loads;
  for (const auto& one : ways) {
    loads.push_back(std::make_unique<http_load>(one.port, 1, asked));
    timings warm;
    loads.back()->run(2, warm);
  }
  for (std::size_t block = 0; block < count / block_requests; ++block) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      auto& one = ways[i];
      const auto before = one.proxy != 0 ? cpu_ns_of(one.proxy) : 0;
      loads[i]->run(block_requests, one.times);
      if (one.proxy != 0) one.cpu_ns += cpu_ns_of(one.proxy) - before;
      one.blocks_ms.push_back(
          ms_at({one.times.whole_ns.end() - block_requests, one.times.whole_ns.end()}, 0.5));
    }
  }
  std::printf("%s, one at a time, %zu of each:\n", streams ? "streams" : "whole answers", count);
  for (const auto& one : ways) report(one);
  compare_blocks(ways);
}

void at_half_load(std::vector<way> ways, std::size_t count) {
  const auto asked = request(true, false, body_bytes);
  way most = ways.back();
  measure(most, busy_connections, asked,
          [&](http_load& load, timings& into) { load.run(count, into); });
  const double whole_load =
      static_cast<double>(count) * 1e9 / static_cast<double>(most.times.lasted_ns);
  const auto each = std::max<std::size_t>(100, count / 5);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (auto& one : ways) {
      measure(one, 2 * busy_connections, asked,
              [&](http_load& load, timings& into) { load.run_at(whole_load / 2, each, into); });
      const auto& all = one.times.whole_ns;
      const auto of_round = static_cast<std::ptrdiff_t>(std::min(each, all.size()));
      one.blocks_ms.push_back(ms_at({all.end() - of_round, all.end()}, 0.99));
    }
  }
  std::printf("streams at %.0f a second, half of the %.0f that the gateway does at most here:\n",
              whole_load / 2, whole_load);
  for (const auto& one : ways) report(one);
  compare_rounds(ways);
  std::printf("\n");
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
  wait_until_idle(through.proxy);  // transcripts are written then
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
  std::printf("%s: load average %.2f %.2f %.2f\n\n", when, load[0], load[1], load[2]);
}

int run(const options& chosen, const std::string& gateway_binary) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  std::string folder = "/tmp/gateway_bench.XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr || ::chmod(folder.c_str(), 0755) != 0) return 1;
  {
    const two_cores cores;
    cores.stay_on_first();
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
    for (std::size_t i = 1; i < ways.size(); ++i) cores.move_to_second(ways[i].proxy);
    std::printf(cores.are_there() ? "what is measured has a core of its own\n"
                                  : "there is one core, for all\n");
    say_load("at the beginning");
    std::printf("%zu streams open (aim: the gateway within %.0f MiB):\n", open_streams,
                most_resident_mib);
    for (const auto bytes : {small_body_bytes, body_bytes}) {
      for (std::size_t i = 1; i < ways.size(); ++i) with_open_streams(ways[i], bytes);
    }
    std::printf("\n");
    auto with_curl = ways;
    const curl_proxy least(provider.port());
    cores.move_to_second(least.pid());
    with_curl.insert(with_curl.end() - 1, way{"curl", least.port(), least.pid()});
    one_at_a_time(with_curl, false, chosen.requests);
    one_at_a_time(ways, true, chosen.requests);
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
