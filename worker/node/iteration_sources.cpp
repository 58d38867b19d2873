#include "worker/node/iteration_sources.hpp"

#include <algorithm>
#include <utility>

#include "common/artefact/tar.hpp"
#include "common/log.hpp"
#include "worker/node/sandbox_git.hpp"
#include "worker/node/task_file.hpp"

namespace germline::worker {
namespace {

constexpr std::int64_t max_pack_bytes = 256 << 20;
constexpr std::int64_t max_inspiration_bytes = 8 << 20;  // beside the parent's, of 256 MiB in all
constexpr std::int64_t max_artefact_bytes = 512 << 20;
constexpr std::int64_t default_wall_ms = 30 * 60'000;

}  // namespace

sandbox_policy_spec policy_of(const v1::Lease& lease, const genome_commands& commands) {
  const auto cap = [](std::int64_t& value, std::int64_t asked) {
    if (asked > 0) value = std::min(value, asked);
  };
  sandbox_policy_spec spec;
  const auto& limits = lease.limits();
  if (limits.memory_bytes() > 0) spec.memory_bytes = limits.memory_bytes();
  if (limits.cpu_milli() > 0) spec.cpu_millis = limits.cpu_milli();
  if (limits.pids() > 0) spec.pids_max = limits.pids();
  if (limits.disk_bytes() > 0) spec.workspace_bytes = limits.disk_bytes();
  spec.wall_ms = limits.wall_time_ms() > 0 ? limits.wall_time_ms() : default_wall_ms;
  const auto& asked = commands.sandbox;
  cap(spec.memory_bytes, asked.memory_bytes);
  cap(spec.cpu_millis, asked.cpu_milli);
  cap(spec.pids_max, asked.pids);
  cap(spec.workspace_bytes, asked.disk_bytes);
  cap(spec.wall_ms, asked.wall_time_ms);
  if (!commands.deps_dir.empty()) spec.mounts.push_back({commands.deps_dir, deps_place});
  return spec;
}

std::string task_json_of(const v1::Lease& lease, const genome_commands& commands,
                         const clock& time) {
  task_extras extras;
  extras.wall_time_ms = policy_of(lease, commands).wall_ms;
  extras.deadline_utc_ms = time.utc_ms() + extras.wall_time_ms;
  extras.context_path = commands.context;
  extras.build_command = commands.build;
  extras.test_command = commands.test;
  return make_task_json(lease, extras);
}

result<spool> iteration_sources::objects_of(const std::string& commit) {
  return context_.objects->get(
      commit, max_pack_bytes,
      [&](const std::vector<std::string>& have, spool into) -> result<object_cache::fetched> {
        fetch_wish wish;
        wish.worker_id = context_.worker_id;
        wish.want = {commit};
        wish.have = have;
        wish.max_bytes = max_pack_bytes;
        GERMLINE_TRY_ASSIGN(auto came, moves_.fetch(wish, std::move(into)));
        return object_cache::fetched{std::move(came.base), std::move(came.bytes)};
      });
}

result<artefact_pin> iteration_sources::artefact_of(const std::string& id) {
  auto here = context_.artefacts->use(id);
  if (here || here.error().code() != error_code::not_found) return here;
  fetch_wish wish;
  wish.kind = content_kind::artefact;
  wish.worker_id = context_.worker_id;
  wish.artefact_id = id;
  wish.max_bytes = max_artefact_bytes;
  GERMLINE_TRY_ASSIGN(auto into, context_.artefacts->make_spool());
  GERMLINE_TRY_ASSIGN(auto arrived, moves_.fetch(wish, std::move(into)));
  GERMLINE_TRY_ASSIGN(const auto tar, arrived.bytes.view());
  GERMLINE_TRY_ASSIGN(const auto files, artefact::read_tar(tar, {}, {}));
  GERMLINE_TRY_ASSIGN(auto stored, context_.artefacts->seal(files));
  if (stored.id() != id) {
    return error(error_code::data_loss, "artefact " + id + " arrived as " + stored.id());
  }
  stored.keep();
  return stored;
}

result<given_objects> iteration_sources::given() {
  fetch_wish wish;
  wish.worker_id = context_.worker_id;
  wish.want = {lease_.given_commit()};
  wish.have = {lease_.parent_commit()};
  wish.max_bytes = max_pushed_bytes;
  GERMLINE_TRY_ASSIGN(auto into, context_.artefacts->make_spool());
  auto came = moves_.fetch(wish, std::move(into));
  if (!came) {
    const auto code = came.error().code();
    const bool is_its_own = code == error_code::resource_exhausted ||
                            code == error_code::not_found || code == error_code::data_loss;
    if (!is_its_own) return came.error();
    return given_objects{{}, "what is to be imported cannot be had: " + came.error().message()};
  }
  GERMLINE_TRY_ASSIGN(const auto pack, came->bytes.view());
  return given_objects{std::string(pack), {}};
}

/// A pack for each inspiration, with what its base's history, and so the parent's, has not. One
/// that cannot be had, or is too large, is not shown: what others bore must keep no iteration from
/// its work.
result<std::vector<spool>> iteration_sources::inspiring_objects() {
  std::vector<spool> packs;
  const auto wanted = lease_.inspirations();
  lease_.clear_inspirations();
  for (const auto& each : wanted) {
    fetch_wish wish;
    wish.worker_id = context_.worker_id;
    wish.want = {each.commit()};
    wish.have = {each.base()};
    wish.max_bytes = max_inspiration_bytes;
    GERMLINE_TRY_ASSIGN(auto into, context_.artefacts->make_spool());
    auto came = moves_.fetch(wish, std::move(into));
    if (sandboxes_.cancelled()) return error(error_code::cancelled, sandboxes_.why_cancelled());
    if (!came) {
      log_warning("attempt {} is not shown {}: {}", lease_.attempt_id(), each.generation_id(),
                  came.error().message());
      continue;
    }
    packs.push_back(std::move(came->bytes));
    *lease_.add_inspirations() = each;
  }
  return packs;
}

result<std::unique_ptr<live_sandbox>> iteration_sources::open_workspace(
    const genome_commands& commands, std::string_view history, const std::string& artefact_dir) {
  GERMLINE_TRY_ASSIGN(auto inspiring, inspiring_objects());
  return lay_out(commands, history, artefact_dir, inspiring);
}

result<std::unique_ptr<live_sandbox>> iteration_sources::lay_out(const genome_commands& commands,
                                                                 std::string_view history,
                                                                 const std::string& artefact_dir,
                                                                 std::vector<spool>& inspiring) {
  auto spec = policy_of(lease_, commands);
  spec.scratch.push_back({"/srv", uid_role::agent, 256 << 20});
  spec.mounts.push_back({artefact_dir, "/germline/artefact"});
  spec.files.push_back({"/germline/task.json", task_json_of(lease_, commands, *context_.time)});
  if (commands.model != "none") spec.gateway_port = gateway_port;
  GERMLINE_TRY_ASSIGN(auto box, sandboxes_.open(std::move(spec)));
  clone_request clone;
  clone.packs = {history};
  clone.commit = lease_.parent_commit();
  for (std::size_t i = 0; i < inspiring.size(); ++i) {
    GERMLINE_TRY_ASSIGN(const auto pack, inspiring[i].view());
    clone.packs.push_back(pack);
    const auto place = static_cast<int>(i);
    clone.branches.push_back({inspiration_branch(place), lease_.inspirations(place).commit()});
  }
  const auto laid = lay_out_clone(box->get(), clone);
  if (laid) return box;
  if (inspiring.empty() || sandboxes_.cancelled()) return laid.error();
  log_warning("attempt {} is shown nothing: {}", lease_.attempt_id(), laid.error().message());
  lease_.clear_inspirations();
  inspiring.clear();
  GERMLINE_TRY(box->destroy());
  return lay_out(commands, history, artefact_dir, inspiring);
}

}  // namespace germline::worker
