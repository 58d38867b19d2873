// The part of `people` that has a run done again.
#include "common/config/run_file.hpp"
#include "coordinator/api/actor_handles.hpp"
#include "coordinator/api/asking.hpp"
#include "coordinator/api/people.hpp"
#include "coordinator/store/reader.hpp"

namespace germline {

result<v1::CreateRunReply> people::replay(const v1::ReplayRequest& request) {
  if (!v1::ReplayAnswers_IsValid(request.answers())) {
    return invalid("models are replaced leniently, strictly or not at all");
  }
  GERMLINE_TRY_ASSIGN(const auto found, reader_.resolve(request.run()));
  if (found.what != resolved_target::kind::run) {
    return invalid("'" + request.run() + "' is " + word(found.what) +
                   "; what is replayed is a run");
  }
  GERMLINE_TRY_ASSIGN(auto run, reader_.run_again(found.id));
  constexpr std::string_view again = "-replay";
  if (run.name.size() + again.size() <= name_bytes_max) run.name += again;
  run.id = run_id::make(*env_.time, *env_.random);
  run.found_item = item_id::make(*env_.time, *env_.random);
  run.now_ms = env_.time->utc_ms();
  run.replay_answers = request.answers() == v1::REPLAY_ANSWERS_UNSPECIFIED
                           ? v1::REPLAY_ANSWERS_LENIENT
                           : request.answers();
  v1::CreateRunReply reply;
  reply.set_run_id(run.id.str());
  for (std::size_t i = 0; i < run.replayed.size(); ++i) {
    run.lineages.push_back(lineage_id::make(*env_.time, *env_.random));
    reply.add_lineage_ids(run.lineages.back().str());
  }
  GERMLINE_TRY(repository_.keep_seed_again(run.seed_commit, run.id));
  GERMLINE_TRY(tell(system_, short_wait, actors_.runs, run));
  return reply;
}

}  // namespace germline
