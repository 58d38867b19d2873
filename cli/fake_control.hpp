// fake_control: for tests of the real binary, a coordinator on a Unix socket that answers as it is
// told, and a folder with a repository for who asks. The handlers have threads of their own.
#pragma once

#include <doctest/doctest.h>
#include <grpc/support/time.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cli/binary_fixture.hpp"
#include "germline/v1/control.grpc.pb.h"

namespace germline::cli::testing {

class fake_control final : public v1::Control::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                         v1::GetStatusReply* reply) override {
    reply->set_coordinator_id("crd_1");
    return grpc::Status::OK;
  }
  grpc::Status PutSeed(grpc::ServerContext*, grpc::ServerReader<v1::SeedChunk>* stream,
                       v1::PutSeedReply* reply) override {
    v1::SeedChunk chunk;
    const std::lock_guard lock(mutex);
    while (stream->Read(&chunk)) seed += chunk.data();
    reply->set_seed_id("seed_1");
    return grpc::Status::OK;
  }
  grpc::Status PutHeldOut(grpc::ServerContext*, grpc::ServerReader<v1::SeedChunk>* stream,
                          v1::HeldOut* reply) override {
    v1::SeedChunk chunk;
    const std::lock_guard lock(mutex);
    while (stream->Read(&chunk)) held_out += chunk.data();
    reply->set_held_out_id("held_1");
    return grpc::Status::OK;
  }
  grpc::Status CreateRun(grpc::ServerContext*, const v1::CreateRunRequest* request,
                         v1::CreateRunReply* reply) override {
    const std::lock_guard lock(mutex);
    created = *request;
    if (request->only_plan()) {
      auto& plan = *reply->mutable_plan();
      plan.set_genome("tiny");
      plan.set_lineages(request->lineages());
      plan.set_max_iterations(request->lineages() * request->max_iterations());
      plan.set_max_cost_nanousd(1'500'000'000);
      return grpc::Status::OK;
    }
    reply->set_run_id("run_1");
    reply->add_lineage_ids("lin_1");
    return grpc::Status::OK;
  }
  grpc::Status ListRuns(grpc::ServerContext*, const v1::ListRunsRequest*,
                        v1::ListRunsReply* reply) override {
    fill(*reply->add_runs());
    return grpc::Status::OK;
  }
  grpc::Status GetTree(grpc::ServerContext*, const v1::GetTreeRequest* request,
                       v1::GetTreeReply* reply) override {
    if (request->target() == "nope") return {grpc::StatusCode::NOT_FOUND, "nothing is called nope"};
    fill(*reply->mutable_run());
    return grpc::Status::OK;
  }
  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::WatchEvent>* writer) override {
    v1::WatchEvent event;
    if (request->target() == "breaks") {
      // Each stream tells all from the start; the first two break, one of them at the server's end.
      const int stream = streams++;
      for (int step = 0; step <= stream; ++step) {
        event.set_time_ms(9'000 - step);  // of another lineage, whose clock is behind
        event.mutable_progress()->set_step("step" + std::to_string(step));
        writer->Write(event);
      }
      if (stream == 0) return {grpc::StatusCode::UNAVAILABLE, "the coordinator is ending"};
      if (stream == 1) return {grpc::StatusCode::CANCELLED, ""};
      return grpc::Status::OK;
    }
    event.set_time_ms(1'000);
    event.mutable_progress()->set_step("steal\x1b[2J");
    writer->Write(event);
    // A stream that nobody ends: the client must see by itself that the run is over.
    while (request->follow() && !context->IsCancelled()) ::usleep(10'000);
    return grpc::Status::OK;
  }
  grpc::Status Kill(grpc::ServerContext* context, const v1::KillRequest* request,
                    v1::KillReply* reply) override {
    const std::lock_guard lock(mutex);
    killed = *request;
    patience_s = patience_of(*context);
    if (request->target() == "nope") return {grpc::StatusCode::NOT_FOUND, "there is no 'nope'"};
    if (nothing_to_kill) return grpc::Status::OK;
    fill(*reply->add_lineages());
    return grpc::Status::OK;
  }
  grpc::Status SetShare(grpc::ServerContext*, const v1::SetShareRequest* request,
                        v1::SetShareReply* reply) override {
    const std::lock_guard lock(mutex);
    shared = *request;
    if (request->run() == "nope") return {grpc::StatusCode::NOT_FOUND, "there is no 'nope'"};
    reply->mutable_run()->set_run_id("run_1");
    reply->mutable_run()->set_priority(request->has_priority() ? request->priority() : 7);
    reply->mutable_run()->set_weight(request->has_weight() ? request->weight() : 2);
    return grpc::Status::OK;
  }
  grpc::Status GetBudgets(grpc::ServerContext*, const v1::GetBudgetsRequest* request,
                          v1::Budgets* reply) override {
    const std::lock_guard lock(mutex);
    if (request->target() == "nope") return {grpc::StatusCode::NOT_FOUND, "there is no 'nope'"};
    *reply = budgets;
    if (knows_counts) {
      reply->mutable_fleet()->mutable_tokens();
      reply->mutable_fleet()->mutable_requests();
    }
    return grpc::Status::OK;
  }
  grpc::Status SetBudget(grpc::ServerContext*, const v1::SetBudgetRequest* request,
                         v1::Budgets* reply) override {
    const std::lock_guard lock(mutex);
    budgeted = *request;
    *reply = budgets;
    return grpc::Status::OK;
  }
  grpc::Status Scale(grpc::ServerContext* context, const v1::ScaleRequest* request,
                     v1::ScaleReply* reply) override {
    const std::lock_guard lock(mutex);
    scaled = *request;
    patience_s = patience_of(*context);
    if (request->run() == "nope") return {grpc::StatusCode::NOT_FOUND, "there is no 'nope'"};
    if (request->lineages() == 1) return grpc::Status::OK;  // as many as there are
    if (request->kill()) {
      fill(*reply->add_killed());
    } else if (request->lineages() == 0) {
      auto& drains = *reply->add_leaving();
      drains.set_lineage_id("lin_1");
      drains.set_state(v1::LINEAGE_STATE_ACTIVE);
      drains.set_draining(true);
    } else {
      reply->add_added()->set_lineage_id("lin_2");
    }
    return grpc::Status::OK;
  }
  grpc::Status Pause(grpc::ServerContext*, const v1::LineageRequest*, v1::LineageReply*) override {
    return {grpc::StatusCode::FAILED_PRECONDITION, "lin_1 is killed, which is final"};
  }

  grpc::Status Rollback(grpc::ServerContext*, const v1::RollbackRequest* request,
                        v1::RollbackReply* reply) override {
    const std::lock_guard lock(mutex);
    rolled = *request;
    reply->mutable_lineage()->set_lineage_id("lin_1");
    reply->mutable_lineage()->set_state(v1::LINEAGE_STATE_PAUSED);
    reply->mutable_generation()->set_generation_id("gen_2");
    return grpc::Status::OK;
  }
  grpc::Status Fork(grpc::ServerContext*, const v1::ForkRequest* request,
                    v1::LineageReply* reply) override {
    const std::lock_guard lock(mutex);
    forked = *request;
    reply->mutable_lineage()->set_lineage_id("lin_2");
    return grpc::Status::OK;
  }
  grpc::Status TestPolicy(grpc::ServerContext*, const v1::TestPolicyRequest* request,
                          v1::TestPolicyReply* reply) override {
    const std::lock_guard lock(mutex);
    judged = *request;
    reply->set_lineages(2);
    reply->set_iterations(7);
    *reply->mutable_policy() = request->policy();
    auto& finding = *reply->add_findings();
    finding.set_lineage_id("lin_1");
    finding.set_item_id("itm_1");
    finding.set_rule("failure-streak 2 pause");
    finding.set_words("2 iterations in a row failed");
    return grpc::Status::OK;
  }
  grpc::Status Retire(grpc::ServerContext*, const v1::LineageRequest* request,
                      v1::LineageReply* reply) override {
    reply->mutable_lineage()->set_lineage_id(request->lineage());
    reply->mutable_lineage()->set_state(v1::LINEAGE_STATE_RETIRED);
    reply->mutable_lineage()->set_pause_details(request->why());
    return grpc::Status::OK;
  }

  grpc::Status Resume(grpc::ServerContext*, const v1::LineageRequest*, v1::LineageReply*) override {
    return {grpc::StatusCode::FAILED_PRECONDITION, "lin_1: all 3 iterations are done"};
  }
  grpc::Status Show(grpc::ServerContext*, const v1::ShowRequest* request,
                    v1::ShowReply* reply) override {
    const std::string_view target = request->target();
    if (target.starts_with("gen_")) {
      reply->mutable_generation()->set_born_of_iteration("itm_1");
    } else if (target.starts_with("itm_") || target.starts_with("att_")) {
      for (const char* attempt : {"att_1", "att_2"}) {
        auto& one = *reply->mutable_iteration()->add_attempts();
        one.set_attempt_id(attempt);
        one.set_worker_id("wrk_1");
      }
    } else {
      fill(*reply->mutable_run());
    }
    return grpc::Status::OK;
  }

  static std::int64_t patience_of(const grpc::ServerContext& context) {
    const auto until = gpr_convert_clock_type(context.raw_deadline(), GPR_CLOCK_REALTIME);
    return gpr_time_sub(until, gpr_now(GPR_CLOCK_REALTIME)).tv_sec;
  }
  /// With the mutex held.
  void fill(v1::KilledLineage& one) const {
    one.set_lineage_id("lin_1");
    one.set_proof(without_proof ? v1::KILL_PROOF_NONE : v1::KILL_PROOF_KILLED);
    one.set_took_ms(42);
    if (!without_proof) return;
    auto& left = *one.add_remaining();
    left.set_attempt_id("att_1");
    left.set_worker_id("wrk_1");
    left.set_connected(true);
    left.set_last_named_ms(1);
  }
  void fill(v1::RunInfo& run) {
    const std::lock_guard lock(mutex);
    run.set_run_id("run_1");
    run.set_name("na\x1bme");
    run.set_found_state(found_state);
    run.set_found_details("the build is red");
    run.set_repository("/srv/it's mine");
    run.set_folder("a/b");
    run.set_strategy(strategy);
    if (strategy != "chain") {
      run.set_inspirations(2);
      run.set_priority(-1);
      run.set_weight(3);
    }
    run.set_model("m");
    run.set_budget_nanousd(2'000'000'000);
    run.add_required_tags("gpu");
    auto& lineage = *run.add_lineages();
    lineage.set_lineage_id("lin_1");
    lineage.set_state(v1::LINEAGE_STATE_PAUSED);
    lineage.set_pause_reason(pause_reason);
    lineage.set_head_generation(head);
    lineage.set_max_iterations(3);
    lineage.set_iterations_done(iterations_done);
    if (pause_reason != v1::PAUSE_REASON_DONE) lineage.set_pause_details(pause_details);
  }

  std::mutex mutex;  // the handlers' threads; the test's own, before and after each run
  std::string seed, held_out;
  v1::CreateRunRequest created;
  v1::KillRequest killed;
  v1::ScaleRequest scaled;
  v1::SetShareRequest shared;
  v1::SetBudgetRequest budgeted;
  v1::Budgets budgets;
  bool knows_counts = true;  // false: as one of an older version, of tokens and requests
  v1::TestPolicyRequest judged;
  std::int64_t patience_s = 0;  // how long the asker would wait
  v1::RollbackRequest rolled;
  v1::ForkRequest forked;
  std::string found_state = "founded";
  std::string head;
  std::string strategy = "chain";
  bool nothing_to_kill = false;
  v1::PauseReason pause_reason = v1::PAUSE_REASON_DONE;
  std::string pause_details = "not a cent is left";
  std::int64_t iterations_done = 3;
  std::atomic<int> streams{0};
  bool without_proof = false;
};

struct fixture {
  folder place;
  fake_control control;
  std::unique_ptr<grpc::Server> server;

  fixture() {
    const auto git = "git -C " + place.at("") + " -c user.name=u -c user.email=u@e ";
    // What the tests themselves put there is ignored.
    const auto repository = git + "init -q -b main && " + git + "commit -q --allow-empty -m seed" +
                            " && echo '/[a-z]*' > " + place.at(".git/info/exclude");
    REQUIRE(std::system(repository.c_str()) == 0);  // NOLINT(concurrency-mt-unsafe)
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + place.at("s"), grpc::InsecureServerCredentials());
    builder.RegisterService(&control);
    server = builder.BuildAndStart();
    REQUIRE(server);
  }
  ~fixture() { server->Shutdown(std::chrono::system_clock::time_point()); }
  outcome run(const std::string& arguments) {
    { const std::lock_guard lock(control.mutex); }
    auto done = germline(place, arguments + " --coordinator unix:" + place.at("s"));
    const std::lock_guard lock(control.mutex);
    return done;
  }
};

}  // namespace germline::cli::testing
