#include "worker/node/deps.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "common/artefact/layer.hpp"
#include "common/artefact/tar.hpp"
#include "common/hash.hpp"
#include "common/log.hpp"
#include "common/text/units.hpp"
#include "sandbox/run.hpp"
#include "worker/node/sandbox_git.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_output_bytes = 64 * 1024;
constexpr std::int64_t max_input_bytes = 32 << 20;
constexpr std::int64_t reading_wall_ms = 2 * 60'000;
constexpr std::size_t keys_max = 1'000;
constexpr int turn_look_ms = 100;
// Of one entry in a tar stream: header, extended header with a long path, padding.
constexpr std::int64_t tar_bytes_of_entry = 4 * 1024;

void add(sha256& into, std::string_view word) {
  into.update(std::to_string(word.size()) + ":");
  into.update(word);
}

std::string variable_of(const std::string& mirror) {
  std::string name = "GERMLINE_MIRROR_";
  for (const char c : mirror) {
    name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  return name;
}

std::vector<std::string> environment_of(const deps_request& deps) {
  const auto base = "http://127.0.0.1:" + std::to_string(gateway_port) + "/";
  std::vector<std::string> env = {"LC_ALL=C.UTF-8", "CI=1", "GIT_CONFIG_NOSYSTEM=1"};
  for (const auto& name : deps.mirrors) {
    env.push_back(variable_of(name) + "=" + base + name);
    if (name != "npm") continue;
    for (const auto& setting :
         {"registry=" + base + "npm/", std::string("replace_registry_host=always"),
          std::string("cache=/tmp/npm-cache"), std::string("update_notifier=false"),
          std::string("audit=false"), std::string("fund=false")}) {
      env.push_back("npm_config_" + setting);
    }
  }
  return env;
}

std::string quoted(const std::string& command) {
  constexpr std::size_t shown = 200;
  return "the command of [deps], `" + command.substr(0, shown) +
         (command.size() > shown ? "…`" : "`");
}

refusal refuse(std::string why) {
  return {"deps", std::move(why)};
}

/// tar packs no sockets, and says so; the command's names may hold anything but a line's end.
std::string left_out_by_tar(std::string_view said) {
  constexpr std::string_view before = "tar: ./", after = ": socket ignored";
  constexpr std::size_t lines_max = 20;
  std::string lines;
  std::size_t count = 0;
  while (!said.empty()) {
    auto line = said.substr(0, said.find('\n'));
    said.remove_prefix(std::min(line.size() + 1, said.size()));
    if (!line.starts_with(before) || !line.ends_with(after)) continue;
    if (++count > lines_max) continue;
    line.remove_prefix(before.size());
    line.remove_suffix(after.size());
    lines += (lines.empty() ? "" : "\n") + std::string("a socket is not kept: ") +
             std::string(line.substr(0, 200));
  }
  if (count > lines_max) lines += "\nand " + std::to_string(count - lines_max) + " more";
  return lines;
}

/// The files' contents in the order in which they are named; or which of them is not there.
result<std::vector<std::string_view>> in_order(const std::vector<artefact::file>& read,
                                               const std::vector<std::string>& names) {
  std::vector<std::string_view> contents;
  for (const auto& name : names) {
    const auto found = std::ranges::find_if(read, [&](const auto& f) { return f.path == name; });
    if (found == read.end()) {
      return error(error_code::not_found, "`files` of [deps] has '" + name +
                                              "', which is no file of the seed; name files that "
                                              "are committed");
    }
    contents.push_back(found->bytes);
  }
  return contents;
}

}  // namespace

std::string deps_key(const deps_request& deps, const std::vector<std::string_view>& contents,
                     std::string_view base_digest) {
  GERMLINE_ASSERT(contents.size() == deps.files.size());
  std::vector<std::pair<std::string_view, std::string_view>> files;
  for (std::size_t i = 0; i < contents.size(); ++i) files.emplace_back(deps.files[i], contents[i]);
  std::ranges::sort(files);
  auto mirrors = deps.mirrors;
  std::ranges::sort(mirrors);
  sha256 sum;
  add(sum, "germline deps 1");
  add(sum, base_digest);
  add(sum, deps.command);
  add(sum, std::to_string(mirrors.size()));
  for (const auto& name : mirrors) add(sum, name);
  for (const auto& [name, bytes] : files) {
    add(sum, name);
    add(sum, bytes);
  }
  return sum.finish_hex();
}

std::string deps_store::key_of(const std::string& seed) const {
  const std::scoped_lock lock(mutex_);
  const auto found = keys_.find(seed);
  return found == keys_.end() ? std::string() : found->second;
}

result<std::unique_lock<std::mutex>> deps_store::take_turn(const std::function<bool()>& cancelled) {
  std::unique_lock turn(fetching_, std::try_to_lock);
  while (!turn.owns_lock()) {
    if (cancelled()) return error(error_code::cancelled, "the attempt was cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(turn_look_ms));
    (void)turn.try_lock();
  }
  return turn;
}

void deps_store::note_key(const std::string& seed, const std::string& key) {
  const std::scoped_lock lock(mutex_);
  if (keys_.size() >= keys_max) keys_.clear();
  keys_[seed] = key;
}

std::int64_t deps_fetch::deadline() const {
  return std::min(wall_until_boot_ms_, lease_until_boot_ms_);
}

void deps_fetch::renew(std::int64_t lease_until_boot_ms) {
  const std::scoped_lock lock(mutex_);
  lease_until_boot_ms_ = std::max(lease_until_boot_ms_, lease_until_boot_ms);
  if (open_id_.empty()) return;
  if (const auto renewed = store_->mirrors()->renew(open_id_, deadline()); !renewed) {
    log_warning("renewing {} at the mirror: {}", open_id_, renewed.error().message());
  }
}

result<void> deps_fetch::check_mirrors(const deps_wish& wish) const {
  for (const auto& name : wish.commands->deps.mirrors) {
    if (store_->mirrors() != nullptr && store_->mirrors()->has(name)) continue;
    return error(error_code::failed_precondition,
                 "this worker has no mirror `" + name +
                     "`, which [deps] of the genome fetches from: start `germline up` with " +
                     (name == "npm" ? "--mirror npm=URL"
                                    : "--mirrors-config FILE, which has it (docs/deps.md)") +
                     (wish.is_resumed ? "; then germline resume" : ""));
  }
  return {};
}

result<deps_answer> deps_fetch::get(const deps_wish& wish, const step_sink& step) {
  GERMLINE_ASSERT(wish.commands != nullptr && !wish.commands->deps.files.empty());
  if (store_ == nullptr) {
    return error(error_code::failed_precondition, "this worker serves no genome with [deps]");
  }
  const auto& deps = wish.commands->deps;
  std::string seed =
      wish.commit + "\n" + wish.base_digest + "\n" + wish.commands->folder + "\n" + deps.command;
  for (const auto& name : deps.files) seed += "\n" + name;
  for (const auto& name : deps.mirrors) seed += "\n" + name;
  deps_answer answer;
  input read;
  read.key = store_->key_of(seed);
  if (read.key.empty()) {
    GERMLINE_TRY_ASSIGN(answer.refused, read_input(wish, read));
    if (answer.refused) return answer;
    store_->note_key(seed, read.key);
  }
  const auto cancelled = [this] { return sandboxes_.cancelled(); };
  auto layer =
      store_->layers().get(read.key, cancelled, [&](const std::string& folder) -> result<void> {
        GERMLINE_TRY(check_mirrors(wish));
        if (read.files.empty()) {
          GERMLINE_TRY_ASSIGN(answer.refused, read_input(wish, read));
        }
        // What is fetched lies in memory.
        GERMLINE_TRY_ASSIGN(const auto turn, store_->take_turn(cancelled));
        step("started", deps.command);
        if (!answer.refused) {
          auto filled = fill(wish, read, folder, answer.left_out);
          if (!filled) {
            step("failed", filled.error().message());
            return filled.error();
          }
          answer.refused = std::move(*filled);
        }
        step(answer.refused ? "failed" : "done",
             answer.refused ? answer.refused->details : answer.left_out);
        if (answer.refused) return error(error_code::cancelled, "it is refused");
        return {};
      });
  if (answer.refused) return answer;
  if (!layer) return layer.error();
  answer.layer = std::move(*layer);
  return answer;
}

/// The files as the seed's commit has them, and the key that they give.
result<std::optional<refusal>> deps_fetch::read_input(const deps_wish& wish, input& into) {
  auto policy = wish.policy;
  policy.wall_ms = std::min(policy.wall_ms, reading_wall_ms);
  policy.scratch.push_back({"/srv", uid_role::agent, 256 << 20});
  GERMLINE_TRY_ASSIGN(auto box, sandboxes_.open(std::move(policy)));
  clone_request clone;
  clone.packs = {wish.pack};
  clone.commit = wish.commit;
  if (const auto laid = lay_out_clone(box->get(), clone); !laid) {
    GERMLINE_TRY_ASSIGN(auto why, explain_clone(laid.error()));
    return std::optional<refusal>(std::move(why));
  }
  const auto& deps = wish.commands->deps;
  process_spec spec;
  spec.argv = {"tar",
               "--format=gnu",
               "--sort=name",
               "-C",
               genome_root(*wish.commands, "/workspace"),
               "-cf",
               "-",
               "--"};
  spec.argv.insert(spec.argv.end(), deps.files.begin(), deps.files.end());
  spec.cwd = "/";
  spec.alone = true;
  GERMLINE_TRY_ASSIGN(auto tar, store_->layers().make_spool());
  capture_limits limits;
  limits.stdout_bytes_max = max_input_bytes;
  limits.stdout_to = &tar;
  limits.wall_ms = reading_wall_ms;
  GERMLINE_TRY_ASSIGN(const auto run, run_captured(box->get(), std::move(spec), "", limits));
  if (!run.out.complete()) {
    return std::optional<refusal>(
        refuse("`files` of [deps] have more than " + rough_size(max_input_bytes)));
  }
  GERMLINE_TRY_ASSIGN(const auto bytes, tar.view());
  artefact::limits bounds;
  bounds.total_bytes = max_input_bytes;
  const auto files = artefact::read_tar(bytes, {}, bounds);
  if (!files && run.outcome.succeeded()) {
    return std::optional<refusal>(refuse("`files` of [deps]: " + files.error().message()));
  }
  const auto contents = in_order(files ? *files : std::vector<artefact::file>(), deps.files);
  if (!contents) return std::optional<refusal>(refuse(contents.error().message()));
  into.key = deps_key(deps, *contents, wish.base_digest);
  into.files = std::move(tar);
  return std::optional<refusal>();
}

sandbox_policy_spec deps_fetch::fetch_policy(const deps_wish& wish) const {
  const auto& deps = wish.commands->deps;
  const auto& bounds = store_->bounds();
  const auto disk = std::min(deps.disk_bytes > 0 ? deps.disk_bytes : bounds.disk_bytes_default,
                             bounds.disk_bytes_max);
  auto policy = wish.policy;
  policy.mounts.clear();
  policy.wall_ms = std::min(deps.wall_time_ms > 0 ? deps.wall_time_ms : bounds.wall_ms_default,
                            bounds.wall_ms_max);
  policy.workspace_bytes = 16 << 20;  // nothing of it is kept
  policy.file_bytes_max = disk;
  policy.tmp_bytes = disk;  // what is unpacked was packed, in a cache
  // What lies in a sandbox counts as its memory.
  policy.memory_bytes += 2 * disk;
  policy.scratch.push_back({deps_place, uid_role::agent, disk});
  policy.gateway_port = gateway_port;
  return policy;
}

result<std::optional<refusal>> deps_fetch::fill(const deps_wish& wish, input& from,
                                                const std::string& folder, std::string& left_out) {
  GERMLINE_TRY_ASSIGN(auto box, sandboxes_.open(fetch_policy(wish)));
  GERMLINE_TRY_ASSIGN(const auto tar, from.files.view());
  process_spec unpack;
  unpack.argv = {"tar", "-C", deps_place, "--no-same-permissions", "-xf", "-"};
  unpack.cwd = "/";
  capture_limits limits;
  limits.wall_ms = reading_wall_ms;
  GERMLINE_TRY_ASSIGN(const auto unpacked,
                      run_captured(box->get(), std::move(unpack), tar, limits));
  if (!unpacked.outcome.succeeded()) {
    return std::optional<refusal>(explain_outcome(unpacked.outcome, "unpacking `files` of [deps]",
                                                  unpacked.err.text(), "deps"));
  }
  GERMLINE_TRY_ASSIGN(auto refused, run_command(*box, wish));
  if (refused) return refused;
  GERMLINE_TRY_ASSIGN(refused, take_out(*box, wish, folder, left_out));
  GERMLINE_TRY(box->destroy());
  return refused;
}

/// Has the mirror open from here on; closed when this ends, at the latest.
struct deps_fetch::open_mirror {
  deps_fetch& owner;
  ~open_mirror() {
    if (const auto closed = close(); !closed) {
      log_error("closing a fetch at the mirror: {}", closed.error().message());
    }
  }
  result<mirror_account> close() {
    std::string id;
    std::int64_t last_ms = 0;
    {
      const std::scoped_lock lock(owner.mutex_);
      id = std::exchange(owner.open_id_, {});  // no renewal comes after this
      last_ms = owner.deadline();
    }
    if (id.empty()) return mirror_account();
    for (;;) {  // one that does not answer keeps the deadline by itself
      auto account = owner.store_->mirrors()->close(id);
      if (account || account.error().code() != error_code::deadline_exceeded) return account;
      if (owner.sandboxes_.time().boot_ms() > last_ms) return account;
    }
  }
};

result<std::optional<refusal>> deps_fetch::run_command(live_sandbox& box, const deps_wish& wish) {
  const auto& deps = wish.commands->deps;
  open_mirror mirror{*this};
  {
    const std::scoped_lock lock(mutex_);
    wall_until_boot_ms_ = box.wall_until_boot_ms();
    mirror_grant grant{wish.attempt_id, deps.mirrors, store_->bounds().fetch, deadline()};
    open_id_ = wish.attempt_id;  // also where no answer comes, and it may be open
    GERMLINE_TRY(store_->mirrors()->open(std::move(grant), box.get().take_gateway_listener()));
  }
  process_spec spec;
  spec.argv = {"/bin/sh", "-c", deps.command};
  spec.cwd = deps_place;
  spec.env = environment_of(deps);
  capture_limits limits;
  limits.stdout_bytes_max = max_output_bytes;
  limits.merge_stderr = true;
  limits.wall_ms =
      std::max<std::int64_t>(1, box.wall_until_boot_ms() - sandboxes_.time().boot_ms());
  const auto doing = quoted(deps.command);
  const auto run = run_captured(box.get(), std::move(spec), "", limits);
  GERMLINE_TRY_ASSIGN(const auto account, mirror.close());
  std::optional<refusal> refused;
  if (!run) {
    if (sandboxes_.cancelled()) return run.error();
    GERMLINE_TRY_ASSIGN(refused, explain_end(run.error(), box, sandboxes_.time(), doing));
  } else if (!run->outcome.succeeded()) {
    refused = explain_outcome(run->outcome, doing, run->out.text(), "deps");
  }
  if (!refused) return refused;
  if (!account.trouble.empty()) {
    // Not the genome's fault: another time, or elsewhere, it may do.
    return error(error_code::unavailable,
                 "dependencies could not be fetched: " + account.trouble + "\n" + refused->details);
  }
  if (!account.refused.empty()) refused->details = account.refused + "\n" + refused->details;
  if (!account.past_bound.empty()) {
    refused->details =
        "the fetch went past its bound of " + account.past_bound + "\n" + refused->details;
  }
  return refused;
}

/// What the command left, as files beneath `folder`.
result<std::optional<refusal>> deps_fetch::take_out(live_sandbox& box, const deps_wish& wish,
                                                    const std::string& folder,
                                                    std::string& left_out) {
  const auto& bounds = store_->bounds();
  const auto disk = fetch_policy(wish).scratch.back().bytes;
  process_spec spec;
  // Not posix: its names are UTF-8 by rule, and a name is what bytes it has.
  spec.argv = {"tar",
               "--format=gnu",
               "--sort=name",
               "--owner=0",
               "--group=0",
               "--mtime=@0",
               "--hard-dereference",
               "-C",
               deps_place,
               "-cf",
               "-",
               "."};
  spec.cwd = "/";
  spec.alone = true;  // nothing of the command's is left to meddle with it
  GERMLINE_TRY_ASSIGN(auto tar, store_->layers().make_spool());
  capture_limits limits;
  limits.stdout_bytes_max =
      static_cast<std::size_t>(disk + bounds.entries_max * tar_bytes_of_entry);
  limits.stdout_to = &tar;
  limits.wall_ms =
      std::max<std::int64_t>(1, box.wall_until_boot_ms() - sandboxes_.time().boot_ms());
  const std::string doing = "reading what the command of [deps] left";
  const auto run = run_captured(box.get(), std::move(spec), "", limits);
  if (!run) {
    if (sandboxes_.cancelled()) return run.error();
    GERMLINE_TRY_ASSIGN(auto late, explain_end(run.error(), box, sandboxes_.time(), doing));
    return std::optional<refusal>(std::move(late));
  }
  if (!run->out.complete()) {
    return std::optional<refusal>(
        refuse("the command of [deps] left more than " + rough_size(disk)));
  }
  if (!run->outcome.succeeded()) {
    return std::optional<refusal>(explain_outcome(run->outcome, doing, run->err.text(), "deps"));
  }
  GERMLINE_TRY_ASSIGN(const auto bytes, tar.view());
  const auto entries = artefact::read_layer(bytes, {disk, bounds.entries_max});
  if (!entries) {
    return std::optional<refusal>(
        refuse("the command of [deps] left what cannot be kept: " + entries.error().message()));
  }
  GERMLINE_TRY(artefact::write_layer(folder, *entries));
  left_out = left_out_by_tar(run->err.text());
  return std::optional<refusal>();
}

}  // namespace germline::worker
