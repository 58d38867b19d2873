// run_captured against a fake sandbox whose "process" is a thread on the given descriptors.
#include "sandbox/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <thread>

namespace germline {
namespace {

class fake_sandbox final : public sandbox {
 public:
  explicit fake_sandbox(std::function<void(process_spec&)> body) : body_(std::move(body)) {}
  ~fake_sandbox() override {
    if (thread_.joinable()) thread_.join();
  }
  result<process_handle> start(process_spec spec) override {
    wall_ms = spec.wall_ms;
    thread_ = std::thread([this, given = std::move(spec)]() mutable {
      body_(given);
      given = {};
      ended_ = true;
    });
    return process_handle{1};
  }
  result<process_outcome> wait(process_handle, std::int64_t) override {
    if (!ended_) return error(error_code::deadline_exceeded, "runs");
    return process_outcome{};
  }
  result<void> signal(process_handle, int) override { return {}; }
  result<sandbox_usage> read_usage() override { return sandbox_usage{}; }
  result<void> renew(std::int64_t) override { return {}; }
  result<kill_report> kill() override { return kill_report{}; }
  result<void> destroy() override { return {}; }
  unique_fd take_gateway_listener() override { return {}; }

  std::int64_t wall_ms = 0;

 private:
  std::function<void(process_spec&)> body_;
  std::thread thread_;
  std::atomic<bool> ended_ = false;
};

void put(const unique_fd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ::write(fd.get(), bytes.data(), bytes.size());
    if (size <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

process_spec program() {
  process_spec spec;
  spec.argv = {"x"};
  return spec;
}

}  // namespace

TEST_CASE("stdin goes in while stdout comes out, without deadlock") {
  fake_sandbox where([](process_spec& spec) {
    char block[4096];
    for (;;) {
      const auto size = ::read(spec.stdin_fd.get(), block, sizeof block);
      if (size <= 0) return;
      put(spec.stdout_fd, {block, static_cast<std::size_t>(size)});
    }
  });
  std::string much;
  for (int i = 0; i < 200'000; ++i) much += std::to_string(i);
  capture_limits limits;
  limits.stdout_bytes_max = 4 << 20;
  limits.wall_ms = 777;
  const auto run = run_captured(where, program(), much, limits);
  REQUIRE(run.has_value());
  CHECK(run->out.complete());
  CHECK(run->out.head == much);
  CHECK(where.wall_ms == 777);
}

TEST_CASE("of too much, head and tail are kept and the cut is counted") {
  fake_sandbox where([](process_spec& spec) {
    put(spec.stdout_fd, "begin");
    put(spec.stdout_fd, std::string(1 << 20, '-'));
    put(spec.stdout_fd, "final");
    put(spec.stderr_fd, "1234567890");
  });
  capture_limits limits;
  limits.stdout_bytes_max = 10;
  limits.stderr_bytes_max = 10;
  const auto run = run_captured(where, program(), "", limits);
  REQUIRE(run.has_value());
  CHECK(run->out.head == "begin");
  CHECK(run->out.tail == "final");
  CHECK(run->out.bytes_cut == 1 << 20);
  CHECK(run->out.text() == "begin\n[... 1048576 bytes cut ...]\nfinal");
  CHECK(run->err.complete());
  CHECK(run->err.head == "1234567890");
}

TEST_CASE("what goes to a spool is kept there whole, or its head, and not in memory") {
  fake_sandbox where([](process_spec& spec) {
    for (int i = 0; i < 300'000; ++i) put(spec.stdout_fd, "0123456789");
  });
  auto kept = spool::make("/tmp");
  REQUIRE(kept);
  capture_limits limits;
  limits.stdout_to = &*kept;
  limits.stdout_bytes_max = 3'000'000;
  auto run = run_captured(where, program(), "", limits);
  REQUIRE(run);
  CHECK(run->out.complete());
  CHECK(run->out.head.empty());
  CHECK(kept->size() == 3'000'000);
  CHECK(kept->view()->substr(2'999'990) == "0123456789");

  fake_sandbox again([](process_spec& spec) { put(spec.stdout_fd, std::string(100'000, 'x')); });
  auto small = spool::make("/tmp");
  REQUIRE(small);
  limits.stdout_to = &*small;
  limits.stdout_bytes_max = 70'001;
  run = run_captured(again, program(), "", limits);
  REQUIRE(run);
  CHECK(run->out.bytes_cut == 29'999);
  CHECK(small->size() == 70'001);
}

TEST_CASE("merged outputs and the report") {
  fake_sandbox where([](process_spec& spec) {
    put(spec.stdout_fd, "one ");
    put(spec.stderr_fd, "two");
    put(spec.report_fd, "<testsuite/>");
  });
  capture_limits limits;
  limits.merge_stderr = true;
  limits.want_report = true;
  const auto run = run_captured(where, program(), "", limits);
  REQUIRE(run.has_value());
  CHECK(run->out.head == "one two");
  CHECK(run->report.head == "<testsuite/>");
}

TEST_CASE("a reader that goes away is no signal to us") {
  fake_sandbox where([](process_spec& spec) { spec.stdin_fd.reset(); });
  const auto run = run_captured(where, program(), std::string(1 << 20, 'x'), {});
  REQUIRE(run.has_value());
  CHECK(run->outcome.succeeded());
}

}  // namespace germline
