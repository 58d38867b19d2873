// What is told of a run: in which order, at which times, and what it waits for.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "coordinator/service_fixture.hpp"

using namespace germline;
using namespace germline::testing;

TEST_CASE_FIXTURE(fixture, "what happened is told in order, and each state of a lineage once") {
  create(2);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto first = worker.lease();
  v1::WorkerMessage step;
  auto& event = *step.mutable_progress()->mutable_event();
  event.set_attempt_id(first.attempt_id());
  event.set_step("plan");
  worker.send(step);
  evolve(worker, first);
  evolve(worker, worker.lease());
  wait_tree(
      [](const auto& t) { return t.run().lineages(0).pause_reason() == v1::PAUSE_REASON_DONE; });
  std::string told;
  for (const auto& each : watched(created.run_id())) {
    if (each.has_progress()) told += each.progress().step() + "\n";
    if (each.has_lineage()) told += "lineage " + std::to_string(each.lineage().state()) + "\n";
    if (!each.has_iteration()) continue;
    told += std::to_string(each.iteration().number()) +
            (each.iteration().ending() == v1::ENDING_UNSPECIFIED ? " began\n" : " ended\n");
  }
  CHECK(told ==
        "0 began\n0 ended\nlineage 1\n1 began\nplan\n1 ended\n2 began\n2 ended\nlineage 2\n");
}

TEST_CASE_FIXTURE(fixture, "lineages beside each other are told by time, each in its own order") {
  v1::CreateRunRequest request;
  request.set_repository(dir + "/user");
  request.set_lineages(3);
  request.set_max_iterations(2);
  REQUIRE(try_create(request).ok());
  scripted_worker worker(service->address(), "w1");
  found(worker);
  std::vector<v1::Lease> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(worker.lease());
  // A step that tells an early time, as of a clock that is behind, stays after the beginning.
  v1::WorkerMessage step;
  step.mutable_progress()->mutable_event()->set_attempt_id(leases[1].attempt_id());
  step.mutable_progress()->mutable_event()->set_step("plan");
  step.mutable_progress()->mutable_event()->set_time_ms(1);
  worker.send(step);
  for (const int last_first : {2, 1, 0}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    REQUIRE(worker.report(leases[static_cast<std::size_t>(last_first)], v1::ENDING_STALLED, "", "")
                .accepted());
  }
  std::vector<std::string> ended;
  std::map<std::string, std::string> by_lineage;
  std::int64_t before_ms = 0;
  for (const auto& each : watched(created.run_id())) {
    if (each.has_progress()) {
      by_lineage[each.lineage_id()] += "plan ";
      continue;
    }
    CHECK(each.time_ms() >= before_ms);
    before_ms = each.time_ms();
    if (!each.has_iteration() || each.iteration().kind() == v1::WORK_KIND_FOUND) continue;
    const bool live = each.iteration().ending() == v1::ENDING_UNSPECIFIED;
    by_lineage[each.lineage_id()] += live ? "began " : "ended ";
    if (!live && ended.size() < 3) ended.push_back(each.iteration().item_id());
  }
  CHECK(ended ==
        std::vector<std::string>{leases[2].item_id(), leases[1].item_id(), leases[0].item_id()});
  for (const auto& [lineage, words] : by_lineage) {
    const bool has_step = words.find("plan") != std::string::npos;
    CHECK(words.starts_with(has_step ? "began plan ended " : "began ended "));
  }
}

TEST_CASE_FIXTURE(fixture,
                  "pauses, resumes and kills are told at their times, after a restart too") {
  create();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto steer = [&](auto method, const std::string& why) {
    grpc::ClientContext context;
    v1::LineageRequest request;
    request.set_lineage(lineage_id());
    request.set_why(why);
    v1::LineageReply reply;
    REQUIRE((people.get()->*method)(&context, request, &reply).ok());
    return reply.lineage();
  };
  const auto lease = worker.lease();
  CHECK(steer(&v1::Control::Stub::Pause, "to look").pause_details() == "to look");
  const auto paused_ms = time.utc_ms();
  evolve(worker, lease);
  steer(&v1::Control::Stub::Resume, "seen");
  kill(lineage_id());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto told = watched(created.run_id());
  std::vector<std::string> words;
  std::int64_t before_ms = 0;
  for (const auto& each : told) {
    CHECK(each.time_ms() >= before_ms);
    before_ms = each.time_ms();
    if (each.has_iteration()) {
      const bool live = each.iteration().ending() == v1::ENDING_UNSPECIFIED;
      words.push_back(std::to_string(each.iteration().number()) + (live ? " began" : " ended"));
    }
    if (!each.has_lineage()) continue;
    const auto& change = each.lineage();
    words.push_back(v1::LineageState_Name(change.was()).substr(14) + " -> " +
                    v1::LineageState_Name(change.state()).substr(14) + " " + change.why());
    if (change.state() == v1::LINEAGE_STATE_PAUSED) CHECK(each.time_ms() <= paused_ms);
  }
  CHECK(before_ms < time.utc_ms());
  // What was begun by the resumption may have begun before the kill, or not.
  std::erase_if(words, [](const auto& each) { return each.starts_with("2 "); });
  CHECK(words == std::vector<std::string>{"0 began", "0 ended", "UNSPECIFIED -> ACTIVE ", "1 began",
                                          "ACTIVE -> PAUSED to look", "1 ended",
                                          "PAUSED -> ACTIVE seen",
                                          "ACTIVE -> KILLED killed by a person"});
  worker.leave();
  restart();
  const auto again = watched(created.run_id());
  REQUIRE(again.size() == told.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    CHECK(again[i].SerializeAsString() == told[i].SerializeAsString());
  }
}

TEST_CASE_FIXTURE(fixture, "who follows hears at once of what comes after a long silence") {
  create(1);
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lease = worker.lease();
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_seconds(30, GPR_TIMESPAN));
  v1::WatchRequest request;
  request.set_target(created.run_id());
  request.set_follow(true);
  const auto stream = people->Watch(&context, request);
  v1::WatchEvent event;
  const auto next_is = [&](auto holds) {
    while (stream->Read(&event)) {
      if (holds(event)) return true;
    }
    return false;
  };
  REQUIRE(next_is([](const auto& e) { return e.has_iteration() && e.iteration().number() == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  v1::WorkerMessage step;
  step.mutable_progress()->mutable_event()->set_attempt_id(lease.attempt_id());
  step.mutable_progress()->mutable_event()->set_step("plan");
  worker.send(step);
  CHECK(next_is([](const auto& e) { return e.progress().step() == "plan"; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  evolve(worker, lease);
  CHECK(next_is([](const auto& e) { return e.lineage().pause_reason() == v1::PAUSE_REASON_DONE; }));
  CHECK_FALSE(stream->Read(&event));
  CHECK(stream->Finish().ok());
}

TEST_CASE_FIXTURE(fixture, "the end of a coordinator is not told as the end of what is watched") {
  create();
  grpc::ClientContext context;
  v1::WatchRequest request;
  request.set_target(created.run_id());
  request.set_follow(true);
  const auto stream = people->Watch(&context, request);
  v1::WatchEvent event;
  REQUIRE(stream->Read(&event));  // the founding waits
  std::thread ender([&] { service->stop(); });
  while (stream->Read(&event)) {
  }
  const auto status = stream->Finish();
  ender.join();
  CHECK((status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::CANCELLED));
}

TEST_CASE_FIXTURE(fixture, "an iteration that waits says for what, and begins with its lease") {
  create(1);
  const auto waits_for = [&] {
    std::string words;
    for (int i = 0; i < 50 && words.empty(); ++i) {
      for (const auto& each : watched(created.run_id())) {
        if (each.has_iteration()) words = each.iteration().waits_for();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return words;
  };
  CHECK(waits_for() == "a worker: none is connected");
  const auto begun = time.utc_ms();
  scripted_worker worker(service->address(), "w1");
  found(worker);
  const auto lost = worker.lease();
  const auto lease = worker.lease();  // no heartbeat named the first
  evolve(worker, lease);
  std::vector<int> attempts;
  for (const auto& each : watched(created.run_id())) {
    if (!each.has_iteration() || each.iteration().ending() != v1::ENDING_UNSPECIFIED) continue;
    CHECK(each.iteration().waits_for().empty());
    CHECK(each.time_ms() >= begun);
    attempts.push_back(each.iteration().attempts_size());
  }
  CHECK(attempts == std::vector<int>{1, 1, 2});
  CHECK(lost.item_id() == lease.item_id());
}
