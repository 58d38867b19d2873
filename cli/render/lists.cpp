#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/render/render.hpp"
#include "cli/render/words.hpp"
#include "common/money.hpp"
#include "common/text/tags.hpp"

namespace germline::cli {
namespace {

std::string count_of(std::int64_t done, std::int64_t most) {
  return std::to_string(done) + (most > 0 ? "/" + std::to_string(most) : "");
}

/// The same JSON with what steers a terminal as \uXXXX. Only strings have such characters, and the
/// writers escape those below U+0020 themselves. No character here has more than three bytes.
std::string harmless_json(std::string_view json) {
  std::string safe;
  safe.reserve(json.size());
  for (std::size_t at = 0; at < json.size();) {
    const auto byte = [&](std::size_t i) {
      return at + i < json.size() ? static_cast<unsigned char>(json[at + i]) : 0U;
    };
    const bool c1 = byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) < 0xa0;
    const auto length = byte(0) == 0x7f ? 1 : c1 ? 2 : reordering(json.substr(at));
    if (length == 0) {
      safe += json[at++];
      continue;
    }
    unsigned character = byte(0);
    if (length == 2) character = (byte(0) & 0x1fU) << 6U | (byte(1) & 0x3fU);
    if (length == 3) {
      character = (byte(0) & 0x0fU) << 12U | (byte(1) & 0x3fU) << 6U | (byte(2) & 0x3fU);
    }
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", character);
    safe += escape;
    at += length;
  }
  return safe;
}

/// The coordinator's word for what comes by itself.
constexpr std::string_view usual_wait = "a free slot on a worker";

/// As ids of other things are shortened; one that a person chose is left whole.
std::string worker_name(const std::string& id) {
  return id.starts_with("wrk_") ? short_id(id) : safe_line(id);
}

std::string name_of(const v1::RunInfo& run, const style& how) {
  const int longest = how.terminal && how.columns < 120 ? 12 : 40;
  return run.name().empty() ? "-" : summary({}, run.name(), longest);
}

/// With tokens and requests where the lineage or its run has a budget of them.
std::string spent_words(const v1::RunInfo& run, const v1::LineageInfo& lineage) {
  auto text = format_usd(lineage.spent_nanousd());
  for (const auto of : {unit::tokens, unit::requests}) {
    if (budget_of(run)[of] == 0 && budget_of(lineage)[of] == 0) continue;
    text += ", " + format_amount(of, spent_of(lineage)[of]);
  }
  return text;
}

}  // namespace

bool is_listed(const v1::RunInfo& run, const v1::LineageInfo& lineage, std::int64_t now_ms) {
  constexpr std::int64_t recent_ms = 24 * 3600 * 1'000;
  if (!is_over(lineage)) return true;
  const auto since_ms = lineage.changed_ms() > 0 ? lineage.changed_ms() : run.created_ms();
  return since_ms <= 0 || now_ms - since_ms < recent_ms;
}

void put_over_last(v1::ListRunsReply& reply) {
  for (auto& run : *reply.mutable_runs()) {
    auto& lineages = *run.mutable_lineages();
    std::stable_partition(lineages.begin(), lineages.end(),
                          [](const auto& lineage) { return !is_over(lineage); });
  }
  auto& runs = *reply.mutable_runs();
  std::stable_partition(runs.begin(), runs.end(), [](const v1::RunInfo& run) {
    return std::ranges::any_of(run.lineages(),
                               [](const auto& lineage) { return !is_over(lineage); });
  });
}

std::string render_runs(const v1::ListRunsReply& reply, bool all, std::int64_t now_ms,
                        const style& how) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& run : reply.runs()) {
    const auto created = age(run.created_ms(), now_ms);
    std::vector<const v1::LineageInfo*> listed;
    for (const auto& lineage : run.lineages()) {
      if (all || is_listed(run, lineage, now_ms)) listed.push_back(&lineage);
    }
    const bool refused = run.found_state() == "refused" &&
                         std::all_of(listed.begin(), listed.end(), [](const auto* lineage) {
                           return lineage->state() == v1::LINEAGE_STATE_RETIRED;
                         });
    if (refused && !listed.empty()) {
      rows.push_back(
          {short_id(run.run_id()), name_of(run, how), "-", "refused", "-", "-", "-", "-", created});
      continue;
    }
    for (const auto* lineage : listed) {
      const bool waits =
          run.found_state() == "pending" && lineage->state() == v1::LINEAGE_STATE_ACTIVE;
      rows.push_back({short_id(run.run_id()), name_of(run, how), short_id(lineage->lineage_id()),
                      waits ? "founding" : state_words(*lineage), std::to_string(lineage->depth()),
                      count_of(lineage->iterations_done(), lineage->max_iterations()),
                      lineage->has_live()             ? live_words(lineage->live())
                      : !idle_words(*lineage).empty() ? "waiting"
                                                      : "-",
                      spent_words(run, *lineage),
                      lineage->created_ms() > 0 ? age(lineage->created_ms(), now_ms) : created});
    }
  }
  return fitting_table(
      how, {"RUN", "NAME", "LINEAGE", "STATE", "DEPTH", "ITERATIONS", "LIVE", "SPENT", "CREATED"},
      rows, {8, 0, 4, 7, 1});
}

std::string render_status(const v1::GetStatusReply& reply, std::int64_t now_ms, const style& how) {
  auto text = "coordinator " + safe_line(reply.coordinator_id()) + "\nversion " +
              safe_line(reply.version()) + ", " + std::to_string(reply.lineages_active()) +
              " active lineages\n";
  return text + render_workers(reply, now_ms, how);
}

std::string render_workers(const v1::GetStatusReply& reply, std::int64_t now_ms, const style& how) {
  // What the other columns leave, for tags and reason.
  const int longest = how.terminal ? std::clamp((how.columns - 50) / 2, 10, 60) : 60;
  std::vector<std::vector<std::string>> rows;
  for (const auto& worker : reply.workers()) {
    const std::vector<std::string> tags(worker.tags().begin(), worker.tags().end());
    const auto& why = worker.cordon_why();
    rows.push_back(
        {worker_name(worker.worker_id()),
         !worker.connected()        ? "away"
         : worker.trouble().empty() ? "joined"
                                    : "trouble",
         std::to_string(worker.busy()) + "/" + std::to_string(worker.slots()),
         age(worker.last_seen_ms(), now_ms),
         tags.empty() ? "-" : summary({}, join_tags(tags), longest),
         !worker.cordoned() ? "-"
         : why.empty()      ? "yes"
                            : "yes: " + summary({}, why, longest),
         worker.base_digest().empty() ? "-" : safe_line(worker.base_digest().substr(0, 12))});
  }
  return fitting_table(how, {"WORKER", "STATE", "BUSY", "SEEN", "TAGS", "CORDONED", "BASE"}, rows,
                       {6, 3});
}

std::string render_worker_line(const v1::WorkerInfo& worker) {
  auto text = worker_name(worker.worker_id()) + (worker.cordoned() ? " cordoned" : " uncordoned");
  if (worker.cordoned() && !worker.cordon_why().empty()) {
    text += ": " + safe_line(worker.cordon_why());
  }
  const int leased = worker.attempts_size();
  if (worker.cordoned() && leased > 0) {
    text += "; what it has goes on: " + std::to_string(leased) +
            (leased == 1 ? " attempt" : " attempts");
  }
  return text + "\n";
}

std::string render_waiting(const v1::ListRunsReply& reply) {
  constexpr std::size_t named_most = 3;
  // Lineages, by what they wait for, or why they are paused.
  std::map<std::string, std::vector<std::string>> waiting, paused;
  for (const auto& run : reply.runs()) {
    for (const auto& lineage : run.lineages()) {
      const auto what =
          with_short_ids(lineage.has_live() ? lineage.live().waits_for() : idle_words(lineage));
      if (!what.empty() && what != usual_wait) waiting[what].push_back(lineage.lineage_id());
      if (lineage.state() != v1::LINEAGE_STATE_PAUSED) continue;
      if (const auto why = halted_words(lineage); !why.empty()) {
        paused[why].push_back(lineage.lineage_id());
      }
    }
  }
  const auto names_of = [](const std::vector<std::string>& lineages) {
    std::string names;
    for (std::size_t i = 0; i < lineages.size() && i < named_most; ++i) {
      names += (i == 0 ? "" : ", ") + short_id(lineages[i]);
    }
    if (lineages.size() > named_most) {
      names += " and " + std::to_string(lineages.size() - named_most) + " more";
    }
    return names;
  };
  std::string text;
  for (const auto& [what, lineages] : waiting) {
    text += names_of(lineages) + (lineages.size() == 1 ? " waits for " : " wait for ") +
            safe_line(what) + "\n";
  }
  for (const auto& [why, lineages] : paused) {
    text += names_of(lineages) + (lineages.size() == 1 ? " is " : " are ") +
            summary({}, why, 2'000) + "\n";
  }
  return text;
}

std::string render_lineage_line(const v1::LineageInfo& lineage, const style& how) {
  auto text =
      short_id(lineage.lineage_id()) + " " +
      painted(how, colour_of(lineage.state(), lineage.pause_reason()), state_words(lineage));
  if (!lineage.pause_details().empty()) {
    text += ": " + summary(how, lineage.pause_details(), how.columns - 50);
  }
  return text + "\n";
}

std::string render_rolled_back(const v1::RollbackReply& reply, const style& how) {
  const auto& lineage = reply.lineage();
  const auto& generation = reply.generation();
  return short_id(lineage.lineage_id()) + " rolled back to generation " +
         std::to_string(generation.number()) + " " + short_id(generation.generation_id()) + "; " +
         painted(how, colour_of(lineage.state(), lineage.pause_reason()), state_words(lineage)) +
         "\n";
}

std::string to_json(const google::protobuf::Message& message, bool one_line) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !one_line;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!printed.ok()) return "{}\n";
  if (text.empty() || text.back() != '\n') text += '\n';
  return harmless_json(text);
}

std::string json_string(std::string_view text) {
  using nlohmann::json;
  return json(std::string(text)).dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace germline::cli
