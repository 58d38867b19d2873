// The part of `people` that steers lineages which are there: pause, resume, rollback, fork, retire.
#include "common/config/run_file.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/asking.hpp"
#include "coordinator/api/people.hpp"

namespace germline {
namespace {

std::string why_of(const std::string& given) {
  return given.empty() ? "by a person" : given;
}

}  // namespace

/// The lineage that is meant. A run stands for its lineage where it has one only.
result<lineage_id> people::lineage_of(const std::string& given) {
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(given));
  if (found.what == resolved_target::kind::lineage) return lineage_id::parse(found.id);
  if (found.what != resolved_target::kind::run) {
    return invalid("'" + given + "' is " + word(found.what) + "; name a lineage (lin_...)");
  }
  GERMLINE_TRY_ASSIGN(const auto lineages, reader_.lineages(found.id));
  if (lineages.size() == 1) return lineage_id::parse(lineages.front().lineage_id());
  std::string names;
  for (const auto& each : lineages) names += (names.empty() ? "" : ", ") + each.lineage_id();
  return invalid("'" + given + "' is a run of several lineages; name one of them: " + names);
}

/// The lineage that is to be steered. A retired one has no actor that could say no.
result<lineage_id> people::steered(const std::string& given, const std::string& why) {
  GERMLINE_TRY(check_why(why));
  GERMLINE_TRY_ASSIGN(const auto id, lineage_of(given));
  GERMLINE_TRY_ASSIGN(const auto info, reader_.lineage(id.str()));
  if (info.state() != v1::LINEAGE_STATE_RETIRED) return id;
  return error(error_code::failed_precondition,
               "the lineage is retired, which is final" +
                   std::string(info.head_generation().empty()
                                   ? ""
                                   : ": fork a generation of it to go on from there"));
}

result<v1::LineageReply> people::pause(const v1::LineageRequest& request) {
  GERMLINE_TRY_ASSIGN(const auto id, steered(request.lineage(), request.why()));
  GERMLINE_TRY(tell(system_, short_wait, actors_.runs, pause_atom_v, id, request.why()));
  v1::LineageReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_lineage(), reader_.lineage(id.str()));
  return reply;
}

result<v1::LineageReply> people::resume(const v1::LineageRequest& request) {
  GERMLINE_TRY_ASSIGN(const auto id, steered(request.lineage(), request.why()));
  GERMLINE_TRY(tell(system_, short_wait, actors_.runs, resume_atom_v, id, request.why()));
  v1::LineageReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_lineage(), reader_.lineage(id.str()));
  return reply;
}

result<v1::RollbackReply> people::rollback(const v1::RollbackRequest& request) {
  GERMLINE_TRY_ASSIGN(const auto id, steered(request.lineage(), request.why()));
  GERMLINE_TRY_ASSIGN(const auto lineage, reader_.lineage(id.str()));
  GERMLINE_TRY_ASSIGN(const auto run, reader_.run(lineage.run_id()));
  if (run.strategy() != "chain") {
    return error(error_code::failed_precondition,
                 "the strategy " + run.strategy() +
                     " chooses what each iteration starts from: kill a generation, and neither it "
                     "nor what descends from it is chosen any more");
  }
  generation_id to;
  if (!request.to().empty()) {
    GERMLINE_TRY_ASSIGN(to, generation_of(request.to(), "what a lineage is rolled back to"));
  }
  GERMLINE_TRY(
      tell(system_, short_wait, actors_.runs, rollback_atom_v, id, to, why_of(request.why())));
  v1::RollbackReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_lineage(), reader_.lineage(id.str()));
  GERMLINE_TRY_ASSIGN(
      *reply.mutable_generation(),
      reader_.generation(to.empty() ? reply.lineage().head_generation() : to.str()));
  return reply;
}

result<v1::LineageReply> people::fork(const v1::ForkRequest& request) {
  records::new_fork fresh;
  if (request.has_max_iterations()) {
    const auto most = request.max_iterations();
    if (most < 0 || most > iterations_max) {
      return invalid("iterations must be 0 to " + std::to_string(iterations_max));
    }
    fresh.max_iterations = most;
  }
  GERMLINE_TRY_ASSIGN(fresh.from, generation_of(request.generation(), "what is forked"));
  fresh.id = lineage_id::make(*env_.time, *env_.random);
  fresh.now_ms = env_.time->utc_ms();
  {
    const std::lock_guard lock(adding_);
    GERMLINE_TRY(tell(system_, short_wait, actors_.runs, fresh));
  }
  v1::LineageReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_lineage(), reader_.lineage(fresh.id.str()));
  return reply;
}

result<v1::LineageReply> people::retire(const v1::LineageRequest& request) {
  GERMLINE_TRY_ASSIGN(const auto id, steered(request.lineage(), request.why()));
  GERMLINE_TRY(tell(system_, short_wait, actors_.runs, retire_atom_v, id, why_of(request.why())));
  v1::LineageReply reply;
  GERMLINE_TRY_ASSIGN(*reply.mutable_lineage(), reader_.lineage(id.str()));
  return reply;
}

/// `what`: for the error where it is something else.
result<generation_id> people::generation_of(const std::string& given, const std::string& what) {
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(given));
  if (found.what == resolved_target::kind::generation) return generation_id::parse(found.id);
  return invalid("'" + given + "' is " + word(found.what) + "; " + what +
                 " is a generation (gen_...): `germline tree` lists them");
}

}  // namespace germline
