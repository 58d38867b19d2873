#include "worker/node/importing.hpp"

#include <algorithm>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "sandbox/run.hpp"
#include "worker/importer/wire.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t import_wall_ms = 60'000;
constexpr std::int64_t import_memory_bytes = 1 << 30;
constexpr std::size_t max_answer_bytes = 256 << 20;

import_job make_job(const import_request& request) {
  import_job job;
  job.mode = request.context_only ? import_mode::context_only : import_mode::candidate;
  job.parent_commit = request.parent_commit;
  job.candidate_commit = request.candidate_commit;
  job.inspirations = request.inspirations;
  job.folder = request.folder;
  job.context_path = request.context_path;
  job.protected_globs = request.protected_globs;
  job.subject = request.context_only ? "Context of iteration " + std::to_string(request.number)
                                     : "Generation " + std::to_string(request.number);
  job.run_id = request.run_id;
  job.lineage_id = request.lineage_id;
  job.attempt_id = request.attempt_id;
  job.fence = request.fence;
  job.number = request.number;
  job.time_s = request.utc_ms / 1'000;
  job.limits.checkout_bytes = std::min(job.limits.checkout_bytes, request.workspace_bytes);
  if (request.context_only || request.write_entry) {
    context_entry entry;
    entry.timestamp = to_iso8601(request.utc_ms);
    entry.action = request.entry_action;
    entry.success = !request.context_only;
    entry.details = request.entry_details;
    job.append = std::move(entry);
  }
  return job;
}

/// One importer in a sandbox of its own, from the first byte to its end.
result<captured_run> run_importer(sandbox_set& sandboxes, const std::string& programs_dir,
                                  std::string_view input) {
  sandbox_policy_spec policy;
  policy.memory_bytes = import_memory_bytes;
  policy.cpu_millis = 1'000;
  policy.pids_max = 16;
  policy.wall_ms = import_wall_ms;
  policy.mounts.push_back({programs_dir, "/germline/programs"});
  GERMLINE_TRY_ASSIGN(auto box, sandboxes.open(std::move(policy)));

  process_spec spec;
  spec.argv = {"/germline/programs/germline-importer"};
  spec.cwd = "/";
  capture_limits limits;
  limits.stdout_bytes_max = max_answer_bytes;
  limits.wall_ms = import_wall_ms;
  return run_captured(box->get(), std::move(spec), input, limits);
}

}  // namespace

result<import_answer> import_candidate_in_sandbox(sandbox_set& sandboxes,
                                                  const std::string& programs_dir,
                                                  const import_request& request, spool input) {
  GERMLINE_TRY(input.append(encode_job_header(make_job(request))));
  for (const auto pack : {request.parent_pack, request.candidate_pack}) {
    GERMLINE_TRY(input.append(encode_u64(pack.size())));
    GERMLINE_TRY(input.append(pack));
  }
  GERMLINE_TRY_ASSIGN(const auto bytes, input.view());
  GERMLINE_TRY_ASSIGN(auto run, run_importer(sandboxes, programs_dir, bytes));
  if (run.outcome.kind == outcome_kind::signalled) {
    // By the objects, or by somebody on this machine: a second one tells.
    log_warning("the importer of {} died of signal {}; another one tries", request.attempt_id,
                run.outcome.code);
    GERMLINE_TRY_ASSIGN(run, run_importer(sandboxes, programs_dir, bytes));
  }

  import_answer answer;
  if (!run.outcome.succeeded() || !run.out.complete()) {
    // On hostile objects a crash is a refusal.
    answer.refused = explain_outcome(run.outcome, "the importer", run.err.text(), "objects");
    answer.refused->reason = "objects";
    return answer;
  }
  GERMLINE_TRY_ASSIGN(auto output, decode_output(run.out.head, max_answer_bytes));
  answer.action = std::move(output.action);
  switch (output.verdict) {
    case import_verdict::candidate:
    case import_verdict::context:
      answer.commit = std::move(output.commit);
      answer.raw_commit = std::move(output.raw_commit);
      answer.source_id = std::move(output.source_id);
      answer.merged = std::move(output.merged);
      answer.change_sketch = std::move(output.change_sketch);
      answer.pack = std::move(output.pack);
      return answer;
    case import_verdict::stalled:
      answer.stalled = true;
      return answer;
    case import_verdict::rejected:
      answer.refused = refusal{std::move(output.reason), std::move(output.details)};
      return answer;
    case import_verdict::error:
      break;
  }
  return error(error_code::internal, "the importer could not do its job: " + output.details);
}

}  // namespace germline::worker
