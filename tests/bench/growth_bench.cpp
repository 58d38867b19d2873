// growth_bench: what an iteration costs the coordinator, from one lineage to many: a whole
// coordinator in this process, over the real wire, with workers that run nothing. Each iteration is
// leased, what of its parent the worker lacks is fetched, a commit and an artefact are put, and it
// is born. Beside it, in the same run, the floor: as many durable transactions as an iteration has,
// in a database of its own on the same disk. Usage: growth_bench [MOST [LEAST]]   (lineages; 1000
// and 1 where nothing is said, at most 100000)
#define DOCTEST_CONFIG_IMPLEMENT
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/cpu_time.hpp"
#include "common/log.hpp"
#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

namespace {

using steady = std::chrono::steady_clock;

constexpr int run_lineages = 64;  // as many as a run may have
constexpr int workers = 4;        // with four slots each
constexpr int least_iterations = 400;

double ms_since(steady::time_point from) {
  return std::chrono::duration<double, std::milli>(steady::now() - from).count();
}

double process_cpu_ms() {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e3 + static_cast<double>(spent.tv_nsec) / 1e6;
}

double resident_mib() {
  std::ifstream status("/proc/self/statm");
  long all = 0;
  long resident = 0;
  status >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

/// Does all that it is leased, at once, until `wanted` iterations are done by all.
class busy_worker {
 public:
  busy_worker(const std::string& address, const std::string& dir, int number,
              std::atomic<int>& left)
      : link_(address, "w" + std::to_string(number)),
        repository_(dir + "/worker" + std::to_string(number) + ".git"),
        left_(left) {}

  void work() {
    auto beat_at = steady::now();
    while (left_ > 0) {
      if (const auto message = link_.next(50)) take(*message);
      if (ms_since(beat_at) < 300) continue;
      link_.beat(held_);
      beat_at = steady::now();
    }
    cpu_ms_ = thread_cpu_ms();
  }
  double spent_ms() const { return cpu_ms_; }

 private:
  void take(const v1::CoordinatorMessage& message) {
    if (message.has_result_reply()) {
      REQUIRE_MESSAGE(message.result_reply().accepted(), message.result_reply().why());
      std::erase(held_, message.result_reply().attempt_id());
      return;
    }
    if (!message.has_lease()) return;
    const auto& lease = message.lease();
    held_.push_back(lease.attempt_id());
    if (lease.kind() == v1::WORK_KIND_FOUND) {
      const auto art = link_.put_artefact(lease, "seed");
      return link_.send_result(lease, v1::ENDING_EVOLVED, lease.seed_commit(), art);
    }
    std::string pack;
    auto& newest = newest_[lease.lineage_id()];  // that this worker has
    const auto commit = make_commit(repository_, link_, lease, pack, "", newest);
    newest = commit;
    REQUIRE(link_.put_objects(lease, pack).ok());
    const auto art = link_.put_artefact(lease, "next " + lease.attempt_id());
    link_.send_result(lease, v1::ENDING_EVOLVED, commit, art);
    --left_;
  }

  scripted_worker link_;
  std::string repository_;
  std::atomic<int>& left_;
  std::vector<std::string> held_;
  std::map<std::string, std::string> newest_;
  double cpu_ms_ = 0;
};

struct measured {
  int lineages = 0;
  int iterations = 0;
  double wall_ms = 0;  // of each iteration
  double own_ms = 0;   // processor time of all but the workers' threads, of each
  double ps_ms = 0;    // a list of all runs
  double resident = 0;
};

struct grown : fixture {
  grown() {
    look_ms = coordinator_config().look_ms;  // tests do not wait for as long as it does
    restart();
  }

  void create(int lineages) {
    v1::CreateRunRequest request;
    request.set_repository(dir + "/user");
    for (; lineages > 0; lineages -= run_lineages) {
      request.set_lineages(std::min(lineages, run_lineages));
      const auto status = try_create(request);
      REQUIRE_MESSAGE(status.ok(), status.error_message());
    }
  }
  double list_ms() {
    const auto from = steady::now();
    grpc::ClientContext context;
    v1::ListRunsReply reply;
    REQUIRE(people->ListRuns(&context, {}, &reply).ok());
    return ms_since(from);
  }

  /// So many iterations, whoever's.
  double let_work(int iterations, double& workers_ms) {
    std::atomic<int> left = iterations;
    std::vector<std::unique_ptr<busy_worker>> all;
    for (int i = 0; i < workers; ++i) {
      all.push_back(std::make_unique<busy_worker>(service->address(), dir, i, left));
    }
    const auto from = steady::now();
    std::vector<std::thread> threads;
    for (auto& each : all) threads.emplace_back([&each] { each->work(); });
    for (auto& each : threads) each.join();
    const auto wall_ms = ms_since(from);
    workers_ms = 0;
    for (const auto& each : all) workers_ms += each->spent_ms();
    return wall_ms;
  }

  measured measure(int lineages) {
    create(lineages);
    double workers_ms = 0;
    let_work(lineages / 4 + 1, workers_ms);  // all is founded by then, or nearly so
    measured out{lineages, std::max(least_iterations, lineages)};
    const auto before_ms = process_cpu_ms();
    out.wall_ms = let_work(out.iterations, workers_ms) / out.iterations;
    out.own_ms = (process_cpu_ms() - before_ms - workers_ms) / out.iterations;
    out.ps_ms = list_ms();
    out.resident = resident_mib();
    return out;
  }
};

/// A transaction that is durable when it returns: what each step of an iteration waits for.
double durable_write_ms() {
  char name[] = "/tmp/germline-floor-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  double spent_ms = 0;
  constexpr int times = 200;
  {
    SQLite::Database db(std::string(name) + "/floor.sqlite",
                        SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (x TEXT)");
    const auto from = steady::now();
    for (int i = 0; i < times; ++i) db.exec("INSERT INTO t VALUES ('an iteration')");
    spent_ms = ms_since(from) / times;
  }
  std::filesystem::remove_all(name);
  return spent_ms;
}

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context;
  context.setAsDefaultForAssertsOutOfTestCases();
  context.setAssertHandler([](const doctest::AssertData& failed) {
    if (!failed.m_failed) return;
    std::fprintf(stderr, "growth_bench: %s:%d: %s\n", failed.m_file, failed.m_line, failed.m_expr);
    std::_Exit(1);
  });
  init_logging("growth_bench", log_level::error);  // workers come and go all the time
  const int most = argc > 1 ? std::atoi(argv[1]) : 1'000;
  const int least = argc > 2 ? std::atoi(argv[2]) : 1;
  if (least < 1 || most < least || most > 100'000) {
    std::fprintf(stderr, "growth_bench: lineages are numbers from 1 to 100000, the most first\n");
    return 2;
  }
  // Leased, ended and begun anew: each is one transaction.
  constexpr int transactions = 3;
  const auto floor_ms = transactions * durable_write_ms();
  std::printf("floor: %d durable transactions %.3f ms\n\n", transactions, floor_ms);
  std::printf(
      "| lineages | iterations | ms each | to the floor | processor ms each | ps ms | MiB |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (int lineages = least; lineages <= most; lineages *= 10) {
    grown fleet;
    const auto found = fleet.measure(lineages);
    std::printf("| %d | %d | %.2f | %.1f | %.2f | %.1f | %.0f |\n", found.lineages,
                found.iterations, found.wall_ms, found.wall_ms / floor_ms, found.own_ms,
                found.ps_ms, found.resident);
    std::fflush(stdout);
  }
  return 0;
}
