#include "cli/commands/transcripts.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands/attempts.hpp"
#include "cli/commands/transcript_files.hpp"
#include "cli/render/conversation.hpp"
#include "cli/render/render.hpp"
#include "common/money.hpp"
#include "common/text/units.hpp"
#include "worker/gateway/transcript_reader.hpp"

namespace germline::cli {
namespace {

using nlohmann::json;
using worker::recorded_exchange;
using worker::transcript_reader;

/// One transcript in figures.
struct totals {
  std::string began;
  std::int64_t requests = 0, refused = 0;
  std::int64_t input = 0, cached = 0, output = 0, cost_nanousd = 0;
};

/// No sum of hostile numbers overflows.
void add(std::int64_t& sum, std::int64_t more) {
  if (__builtin_add_overflow(sum, more, &sum)) sum = INT64_MAX;
}

std::int64_t cached_of(const worker::token_counts& tokens) {
  auto sum = tokens.cache_write;
  add(sum, tokens.cache_read);
  return sum;
}

result<totals> count(const transcript_reader& file) {
  totals all;
  for (std::size_t i = 0; i < file.size(); ++i) {
    GERMLINE_TRY_ASSIGN(const auto one, file.read_head(i));
    if (i == 0) all.began = one.at;
    if (one.outcome == "refused") {
      ++all.refused;
    } else {
      add(all.requests, one.tries);  // as the account has it
    }
    add(all.input, one.tokens.input);
    add(all.cached, cached_of(one.tokens));
    add(all.output, one.tokens.output);
    add(all.cost_nanousd, one.cost_nanousd);
  }
  return all;
}

/// What of a file is not as it should be; empty: nothing.
std::string flaws(const transcript_reader& file) {
  std::string text;
  if (!file.is_complete()) text = "incomplete";
  const auto also = [&](const std::string& flaw) { text += (text.empty() ? "" : ", ") + flaw; };
  if (file.damaged_lines() > 0) also(std::to_string(file.damaged_lines()) + " damaged lines");
  if (!file.ends_whole()) also("cut off in its last line");
  return text;
}

json json_of(const transcript_file& where, const transcript_reader& file, const totals& all) {
  return {{"attempt_id", where.attempt_id}, {"file", where.path},
          {"bytes", where.bytes},           {"began", all.began},
          {"requests", all.requests},       {"refused", all.refused},
          {"input_tokens", all.input},      {"cached_tokens", all.cached},
          {"output_tokens", all.output},    {"cost_nanousd", all.cost_nanousd},
          {"complete", file.is_complete()}, {"damaged_lines", file.damaged_lines()}};
}

std::string as_text(const json& value) {
  return value.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
}

conversation_exchange exchange_of(const recorded_exchange& one, std::size_t number) {
  conversation_exchange told;
  told.number = number;
  told.at = one.at;
  told.path = one.path;
  told.upstream = one.upstream;
  told.request = one.request;
  told.response = one.response;
  told.status = one.status;
  told.outcome = one.outcome;
  told.duration_ms = one.duration_ms;
  told.input_tokens = one.tokens.input;
  told.cached_tokens = cached_of(one.tokens);
  told.output_tokens = one.tokens.output;
  told.cost_nanousd = one.cost_nanousd;
  told.is_cut = one.request_cut || one.response_cut;
  return told;
}

/// Prints all of one transcript, or one request of it. What cannot be read is told, and the first
/// such error returned at the end.
result<void> print(const session& with, const transcript_file& where,
                   std::optional<std::int64_t> only, bool as_lines) {
  GERMLINE_TRY_ASSIGN(const auto file, transcript_reader::open(where.path));
  if (only && static_cast<std::size_t>(*only) > file.size()) {
    return error(error_code::not_found, where.attempt_id + " has " + std::to_string(file.size()) +
                                            " requests, and no " + std::to_string(*only));
  }
  std::optional<error> first;
  conversation told(with.how, only.has_value());
  const auto end = only ? static_cast<std::size_t>(*only) : file.size();
  for (auto i = only ? end - 1 : 0; i < end; ++i) {
    const auto one = file.read(i);
    if (!one) {
      with.message("germline: " + one.error().message());
      if (!first) first = one.error();
      continue;
    }
    with.data(as_lines ? exported_line(*one, where.attempt_id)
                       : told.tell(exchange_of(*one, i + 1)));
  }
  if (as_lines && !only) {
    for (const auto& mark : file.gaps()) with.data(worker::exported_mark(mark, where.attempt_id));
  }
  const auto wrong = flaws(file);
  const bool is_damaged = file.damaged_lines() > 0 || !file.ends_whole();
  if (!wrong.empty() && !is_damaged) with.message("germline: " + where.path + " is " + wrong);
  if (is_damaged) {
    const error damage(error_code::data_loss, where.path + " is " + wrong);
    if (first) with.message("germline: " + damage.message());
    if (!first) first = damage;
  }
  if (first) return *first;
  return {};
}

exit_code print_one(const session& with, const transcript_options& options, bool as_lines) {
  const auto where = find_transcript(with, options.directories, options.attempt);
  if (!where) return with.fail(where.error());
  const auto printed = print(with, *where, options.request, as_lines);
  return printed ? exit_code::done : with.tell(printed.error());
}

}  // namespace

exit_code run_transcript_list(const session& with, const transcript_options& options) {
  const auto files = find_transcripts(with, options.directories);
  if (!files) return with.fail(files.error());
  std::vector<std::vector<std::string>> rows;
  json lines = json::array();
  auto code = exit_code::done;
  for (const auto& where : *files) {
    const auto file = transcript_reader::open(where.path);
    const auto all = file ? count(*file) : result<totals>(file.error());
    if (!all) {
      code = with.tell(all.error());
      continue;
    }
    lines.push_back(json_of(where, *file, *all));
    rows.push_back({short_id(safe_line(where.attempt_id)), safe_line(all->began),
                    std::to_string(all->requests), std::to_string(all->refused),
                    std::to_string(all->input), std::to_string(all->cached),
                    std::to_string(all->output), format_usd(all->cost_nanousd),
                    rough_size(where.bytes), flaws(*file)});
  }
  if (with.json) {
    with.data(as_text({{"transcripts", lines}}));
  } else if (!rows.empty()) {
    with.data(fitting_table(
        with.how,
        {"ATTEMPT", "BEGAN", "REQUESTS", "REFUSED", "IN", "CACHED", "OUT", "COST", "SIZE", ""},
        std::move(rows), {3, 1, 5, 8}));
  } else if (code == exit_code::done) {
    with.message("germline: there are no transcripts yet");
  }
  return code;
}

exit_code run_transcript_show(const session& with, const transcript_options& options) {
  return print_one(with, options, with.json);
}

exit_code run_transcript_export(const session& with, const transcript_options& options) {
  return print_one(with, options, true);
}

exit_code run_transcript_prune(const session& with, const prune_options& options) {
  const auto files = find_transcripts(with, options.directories);
  if (!files) return with.fail(files.error());
  const auto before = with.time->utc_ms() - options.older_than_ms;
  std::int64_t bytes = 0;
  std::int64_t looked_at = 0;
  json removed = json::array();
  auto code = exit_code::done;
  for (const auto& one : *files) {
    if (!is_gateways(one)) continue;
    ++looked_at;
    if (one.written_utc_ms >= before) continue;
    const auto gone = remove_unused(one, before, options.dry_run);
    if (!gone) {
      code = with.tell(gone.error());
      continue;
    }
    if (!*gone) continue;
    add(bytes, one.bytes);
    removed.push_back(one.path);
    if (!with.json) with.data(safe_line(one.path) + "\n");
  }
  if (with.json) with.data(as_text({{"removed", removed}, {"bytes", bytes}}));
  with.message("germline: " + std::to_string(removed.size()) + " of " + std::to_string(looked_at) +
               " transcripts, " + rough_size(bytes) +
               (options.dry_run ? ", would go" : " removed"));
  return code;
}

exit_code run_llm_logs(const session& with, const std::string& target,
                       const std::vector<std::string>& directories) {
  const auto attempts = attempts_of(with, target);
  if (!attempts) return with.fail(attempts.error());
  std::map<std::string, transcript_file> here;
  if (const auto files = find_transcripts(with, directories)) {
    for (const auto& one : *files) here.emplace(one.attempt_id, one);
  } else if (!directories.empty() || files.error().code() != error_code::not_found) {
    return with.fail(files.error());
  }
  std::set<std::string> elsewhere;
  std::int64_t missing = 0;
  auto code = exit_code::done;
  bool any = false;
  for (const auto& attempt : *attempts) {
    const auto found = here.find(attempt.attempt_id());
    if (found == here.end()) {
      ++missing;
      if (!attempt.worker_id().empty()) elsewhere.insert(safe_line(attempt.worker_id()));
      continue;
    }
    any = true;
    if (!with.json) {
      with.data(painted(with.how, paint::bold, "attempt " + safe_line(attempt.attempt_id())) +
                "\n\n");
    }
    const auto printed = print(with, found->second, std::nullopt, with.json);
    if (!printed) code = with.tell(printed.error());
  }
  if (missing == 0 && any) return code;
  std::string workers;
  for (const auto& one : elsewhere) workers += (workers.empty() ? "" : ", ") + one;
  const auto why =
      attempts->empty()
          ? target + " has had no attempt"
          : std::to_string(missing) + " of " + std::to_string(attempts->size()) +
                " attempts have no transcript on this machine" +
                (workers.empty() ? "" : "; if they asked a model, it is with " + workers) +
                (any || !directories.empty()
                     ? ""
                     : ". Looked for in " + with.settings.get("state_dir") +
                           ": name the state folder of the `up` that ran them with --state-dir, or "
                           "the folder of their gateway's transcripts with --directory");
  if (!any) return with.fail(error(error_code::not_found, why));
  with.message("germline: " + why);
  return code;
}

}  // namespace germline::cli
