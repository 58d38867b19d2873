#include "worker/importer/wire.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/git/oid.hpp"
#include "common/hash.hpp"
#include "common/text/change_sketch.hpp"

namespace germline::worker {
namespace {

using json = nlohmann::json;

constexpr std::array<std::string_view, 5> verdict_names = {"candidate", "stalled", "rejected",
                                                           "context", "error"};
constexpr std::size_t path_bytes_max = 4'096 + 256;
constexpr std::size_t inspirations_max = 64;

error bad(std::string_view what) {
  return {error_code::invalid_argument, "the importer's frame is malformed: " + std::string(what)};
}

std::string little_endian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
  return text;
}

/// Takes a length of `width` bytes and as many bytes as it says off the front.
result<std::string_view> take(std::string_view& bytes, std::size_t width, std::size_t max) {
  if (bytes.size() < width) return bad("it is truncated");
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < width; ++i) {
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  bytes.remove_prefix(width);
  if (length > max) return bad("a part is longer than " + std::to_string(max) + " bytes");
  if (length > bytes.size()) return bad("it is truncated");
  const auto part = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return part;
}

/// Reads members of one JSON object; notes whether any was missing or of the wrong shape.
class fields {
 public:
  explicit fields(const json& object) : object_(object), good_(object.is_object()) {}

  std::string text(const char* key, std::size_t max) {
    const auto* value = find(key);
    if (value == nullptr || !value->is_string() ||
        value->get_ref<const std::string&>().size() > max) {
      good_ = false;
      return {};
    }
    return value->get<std::string>();
  }
  std::int64_t number(const char* key) {
    const auto* value = find(key);
    if (value == nullptr || !value->is_number_integer()) {
      good_ = false;
      return 0;
    }
    return value->get<std::int64_t>();
  }
  bool flag(const char* key) {
    const auto* value = find(key);
    if (value == nullptr || !value->is_boolean()) {
      good_ = false;
      return false;
    }
    return value->get<bool>();
  }
  std::vector<std::string> texts(const char* key, std::size_t count_max, std::size_t max) {
    const auto* value = find(key);
    if (value == nullptr || !value->is_array() || value->size() > count_max) {
      good_ = false;
      return {};
    }
    std::vector<std::string> list;
    for (const auto& item : *value) {
      if (!item.is_string() || item.get_ref<const std::string&>().size() > max) {
        good_ = false;
        return {};
      }
      list.push_back(item.get<std::string>());
    }
    return list;
  }
  /// Empty, or an id of `digits` lower-case hex digits.
  std::string id(const char* key, std::size_t digits) {
    auto value = text(key, digits);
    const bool hex = std::all_of(value.begin(), value.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    });
    if (!value.empty() && (value.size() != digits || !hex)) good_ = false;
    return value;
  }
  const json* find(const char* key) {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  bool good() const noexcept { return good_; }
  void mark_bad() noexcept { good_ = false; }

 private:
  const json& object_;
  bool good_;
};

result<json> parse_json(std::string_view text) {
  int deepest = 0;
  auto value = json::parse(
      text,
      [&](int depth, json::parse_event_t, json&) {
        deepest = std::max(deepest, depth);
        return depth <= 8;
      },
      false);
  if (value.is_discarded() || !value.is_object() || deepest > 8) return bad("no JSON object");
  return value;
}

json limits_to_json(const git::object_limits& limits) {
  return {{"objects", limits.objects},         {"blob_bytes", limits.blob_bytes},
          {"total_bytes", limits.total_bytes}, {"tree_entries", limits.tree_entries},
          {"tree_depth", limits.tree_depth},   {"walked_entries", limits.walked_entries},
          {"commits", limits.commits},         {"checkout_bytes", limits.checkout_bytes}};
}

git::object_limits limits_from_json(fields& in) {
  git::object_limits limits;
  limits.objects = in.number("objects");
  limits.blob_bytes = in.number("blob_bytes");
  limits.total_bytes = in.number("total_bytes");
  limits.tree_entries = in.number("tree_entries");
  limits.tree_depth = in.number("tree_depth");
  limits.walked_entries = in.number("walked_entries");
  limits.commits = in.number("commits");
  limits.checkout_bytes = in.number("checkout_bytes");
  return limits;
}

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<import_job> job_from_json(const json& value) {
  fields in(value);
  import_job job;
  const auto mode = in.text("mode", 16);
  job.mode = mode == "candidate" ? import_mode::candidate : import_mode::context_only;
  if (mode != "candidate" && mode != "context_only") in.mark_bad();
  job.parent_commit = in.text("parent_commit", 64);
  job.candidate_commit = in.text("candidate_commit", 256);
  job.inspirations = in.texts("inspirations", inspirations_max, 40);
  job.folder = in.text("folder", 4'096);
  job.context_path = in.text("context_path", 4'096);
  job.protected_globs = in.texts("protected_globs", 1'024, 1'024);
  job.subject = in.text("subject", 4'096);
  job.run_id = in.text("run_id", 64);
  job.lineage_id = in.text("lineage_id", 64);
  job.attempt_id = in.text("attempt_id", 64);
  job.fence = in.number("fence");
  job.number = in.number("number");
  job.author_name = in.text("author_name", 256);
  job.author_email = in.text("author_email", 256);
  job.time_s = in.number("time_s");
  job.context_bytes = in.number("context_bytes");
  job.context_depth = std::min<std::int64_t>(in.number("context_depth"), 512);
  const json none;
  const auto* limits = in.find("limits");
  fields bounds(limits == nullptr ? none : *limits);
  job.limits = limits_from_json(bounds);
  // The trees are walked by recursion.
  job.limits.tree_depth = std::min<std::int64_t>(job.limits.tree_depth, 512);
  if (const auto* append = in.find("append"); append != nullptr) {
    fields entry(*append);
    job.append = context_entry{entry.text("timestamp", 64), entry.text("action", 4'096),
                               entry.flag("success"), entry.text("details", 256 * 1024)};
    if (!entry.good()) in.mark_bad();
  }
  if (!in.good() || !bounds.good()) return bad("a member of the job is missing or out of bounds");
  return job;
}

/// Whether a verdict and its fields fit each other.
bool fits(const import_output& out) {
  const bool commits =
      out.verdict == import_verdict::candidate || out.verdict == import_verdict::context;
  const bool has_commit = !out.commit.empty() && !out.tree.empty() && !out.source_id.empty();
  if (commits != has_commit || commits != !out.pack.empty()) return false;
  if (!out.raw_commit.empty() && !commits) return false;
  if (out.verdict != import_verdict::rejected) return out.reason.empty();
  return out.reason == "objects" || out.reason == "protected" || out.reason == "context";
}

}  // namespace

std::string encode_u64(std::uint64_t value) {
  return little_endian(value, 8);
}

std::string encode_job_header(const import_job& job) {
  json value = {{"mode", job.mode == import_mode::candidate ? "candidate" : "context_only"},
                {"parent_commit", job.parent_commit},
                {"candidate_commit", job.candidate_commit},
                {"inspirations", job.inspirations},
                {"folder", job.folder},
                {"context_path", job.context_path},
                {"protected_globs", job.protected_globs},
                {"subject", job.subject},
                {"run_id", job.run_id},
                {"lineage_id", job.lineage_id},
                {"attempt_id", job.attempt_id},
                {"fence", job.fence},
                {"number", job.number},
                {"author_name", job.author_name},
                {"author_email", job.author_email},
                {"time_s", job.time_s},
                {"limits", limits_to_json(job.limits)},
                {"context_bytes", job.context_bytes},
                {"context_depth", job.context_depth}};
  if (job.append) {
    value["append"] = {{"timestamp", job.append->timestamp},
                       {"action", job.append->action},
                       {"success", job.append->success},
                       {"details", job.append->details}};
  }
  const auto text = dump(value);
  return little_endian(text.size(), 4) + text;
}

std::string encode_input(const import_job& job, std::string_view parent_pack,
                         std::string_view candidate_pack) {
  auto bytes = encode_job_header(job);
  bytes.append(encode_u64(parent_pack.size())).append(parent_pack);
  bytes.append(encode_u64(candidate_pack.size())).append(candidate_pack);
  return bytes;
}

result<decoded_input> decode_input(std::string_view bytes) {
  decoded_input input;
  GERMLINE_TRY_ASSIGN(const auto text, take(bytes, 4, import_json_bytes_max));
  GERMLINE_TRY_ASSIGN(const auto value, parse_json(text));
  GERMLINE_TRY_ASSIGN(input.job, job_from_json(value));
  GERMLINE_TRY_ASSIGN(input.parent_pack, take(bytes, 8, import_pack_bytes_max));
  GERMLINE_TRY_ASSIGN(input.candidate_pack, take(bytes, 8, import_pack_bytes_max));
  if (!bytes.empty()) return bad("bytes follow");
  return input;
}

std::string encode_output(const import_output& output) {
  const json value = {{"verdict", verdict_names[static_cast<std::size_t>(output.verdict)]},
                      {"reason", output.reason},
                      {"details", output.details},
                      {"commit", output.commit},
                      {"tree", output.tree},
                      {"source_id", output.source_id},
                      {"raw_commit", output.raw_commit},
                      {"merged", output.merged},
                      {"change_sketch", to_hex(output.change_sketch)},
                      {"context_ok", output.context_ok},
                      {"action", output.action},
                      {"changed_paths", output.changed_paths},
                      {"changed_paths_cut", output.changed_paths_cut}};
  auto text = dump(value);
  auto bytes = little_endian(text.size(), 4) + text;
  return bytes.append(encode_u64(output.pack.size())).append(output.pack);
}

result<import_output> decode_output(std::string_view bytes, std::size_t pack_bytes_max) {
  GERMLINE_TRY_ASSIGN(const auto text, take(bytes, 4, import_json_bytes_max));
  GERMLINE_TRY_ASSIGN(const auto value, parse_json(text));
  fields in(value);
  import_output out;
  const auto verdict = in.text("verdict", 16);
  const auto found = std::find(verdict_names.begin(), verdict_names.end(), verdict);
  if (found == verdict_names.end()) return bad("unknown verdict");
  out.verdict = static_cast<import_verdict>(found - verdict_names.begin());
  out.reason = in.text("reason", 16);
  out.details = in.text("details", 3 * 4'096);
  out.commit = in.id("commit", 40);
  out.tree = in.id("tree", 40);
  out.source_id = in.id("source_id", 64);
  out.raw_commit = in.id("raw_commit", 40);
  out.merged = in.texts("merged", inspirations_max, 40);
  const auto sketch = from_hex(in.text("change_sketch", 2 * change_sketch::bytes_max));
  if (!sketch || !change_sketch::read(*sketch)) in.mark_bad();
  if (sketch) out.change_sketch = *sketch;
  out.context_ok = in.flag("context_ok");
  out.action = in.text("action", 3 * 1'024);
  out.changed_paths = in.texts("changed_paths", 1'000, path_bytes_max);
  out.changed_paths_cut = in.flag("changed_paths_cut");
  GERMLINE_TRY_ASSIGN(const auto pack, take(bytes, 8, pack_bytes_max));
  out.pack = pack;
  if (!bytes.empty()) return bad("bytes follow");
  if (!in.good()) return bad("a member of the verdict is missing or out of bounds");
  if (!fits(out)) return bad("the verdict and its members do not fit");
  return out;
}

}  // namespace germline::worker
