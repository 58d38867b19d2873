// measured_fixture: for tests of the coordinator with a genome whose generations are measured. For
// one thread, but for what people call.
#pragma once

#include <algorithm>
#include <atomic>

#include "coordinator/service_fixture.hpp"

namespace germline::testing {

struct measured_fixture : fixture {
  /// Of each generation.
  explicit measured_fixture(int evaluations) {
    std::ofstream(dir + "/user/genome.toml", std::ios::app)
        << "[fitness]\ncommand = \"true\"\nevaluations = " << evaluations << "\n";
    shell("cd " + dir + "/user && git -c user.name=u -c user.email=u@e commit -qam measured");
  }

  /// The next lease of that kind; others that come before it are kept, and all are held.
  v1::Lease lease_of(scripted_worker& worker, v1::WorkKind kind) {
    for (int tries = 0; tries < 300; ++tries) {
      const auto wanted =
          std::ranges::find_if(kept, [&](const auto& each) { return each.kind() == kind; });
      if (wanted != kept.end()) {
        auto lease = *wanted;
        kept.erase(wanted);
        return lease;
      }
      take_leases(worker, 100);
      worker.beat(held);
    }
    FAIL("no such lease came");
    return {};
  }
  void take_leases(scripted_worker& worker, int wait_ms) {
    while (const auto message = worker.expect(v1::CoordinatorMessage::kLease, wait_ms)) {
      kept.push_back(message->lease());
      held.push_back(message->lease().attempt_id());
    }
  }

  bool score(scripted_worker& worker, const v1::Lease& lease, double value,
             std::int64_t cost_nanousd = 0) {
    take_leases(worker, 20);  // what waits for a reply drops them
    v1::WorkerMessage message;
    auto* result = message.mutable_result();
    result->set_attempt_id(lease.attempt_id());
    result->set_fence(lease.fence());
    result->set_ending(v1::ENDING_SCORED);
    result->mutable_score()->set_score(value);
    result->mutable_usage()->set_cost_nanousd(cost_nanousd);
    worker.send(message);
    const auto reply = worker.expect(v1::CoordinatorMessage::kResultReply);
    REQUIRE(reply);
    return reply->result_reply().accepted();
  }

  /// What a person asks, while the worker answers each word to end an attempt.
  template <class Ask>
  void while_heard(scripted_worker& worker, Ask ask) {
    worker.beat(held);
    std::atomic<bool> is_over = false;
    std::thread person([&] {
      ask();
      is_over = true;
    });
    while (!is_over) {
      const auto word = worker.expect(v1::CoordinatorMessage::kKill, 100);
      if (word) worker.cleaned(word->kill().attempt_id());
    }
    person.join();
  }
  v1::KillReply kill_while_heard(scripted_worker& worker, const std::string& target) {
    v1::KillReply reply;
    while_heard(worker, [&] { reply = kill(target); });
    return reply;
  }

  void retire(const std::string& lineage) {
    grpc::ClientContext context;
    v1::LineageRequest request;
    request.set_lineage(lineage);
    v1::LineageReply reply;
    const auto status = people->Retire(&context, request, &reply);
    REQUIRE_MESSAGE(status.ok(), status.error_message());
  }

  std::vector<v1::Lease> kept;
  std::vector<std::string> held;  // attempts
};

}  // namespace germline::testing
