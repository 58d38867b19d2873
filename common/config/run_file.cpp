#include "common/config/run_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "common/amount.hpp"
#include "common/config/toml_values.hpp"
#include "common/money.hpp"
#include "common/text/glob.hpp"
#include "common/text/tags.hpp"
#include "common/text/units.hpp"
#include "common/unit_words.hpp"

namespace germline {
namespace {

using setter = std::function<result<void>(run_file&, const toml_value&)>;

struct known_key {
  std::string_view name;
  setter set;
};

error wrong_type(std::string_view wanted) {
  return {error_code::invalid_argument, "must be " + std::string(wanted)};
}

setter text_into(std::string run_file::*field) {
  return [field](run_file& run, const toml_value& value) -> result<void> {
    const auto* text = std::get_if<std::string>(&value.value);
    if (text == nullptr) return wrong_type("a string");
    run.*field = *text;
    return {};
  };
}

setter count_into(std::int64_t run_file::*field, std::int64_t lowest,
                  std::int64_t highest = std::numeric_limits<std::int64_t>::max()) {
  return [field, lowest, highest](run_file& run, const toml_value& value) -> result<void> {
    const auto* number = std::get_if<std::int64_t>(&value.value);
    if (number == nullptr || *number < lowest || *number > highest) {
      return wrong_type("a whole number from " + std::to_string(lowest) + " to " +
                        std::to_string(highest));
    }
    run.*field = *number;
    return {};
  };
}

setter parsed_into(std::int64_t run_file::*field, result<std::int64_t> (*parse)(std::string_view)) {
  return [field, parse](run_file& run, const toml_value& value) -> result<void> {
    const auto* text = std::get_if<std::string>(&value.value);
    if (text == nullptr) return wrong_type("a string with its unit");
    GERMLINE_TRY_ASSIGN(run.*field, parse(*text));
    return {};
  };
}

/// A whole number, or a string such as "50M".
setter amount_into(std::int64_t run_file::*field) {
  return [field](run_file& run, const toml_value& value) -> result<void> {
    if (const auto* whole = std::get_if<std::int64_t>(&value.value)) {
      GERMLINE_TRY_ASSIGN(run.*field, parse_count(std::to_string(*whole)));
      return {};
    }
    const auto* text = std::get_if<std::string>(&value.value);
    if (text == nullptr) return wrong_type("a whole number, or a string such as \"50M\"");
    GERMLINE_TRY_ASSIGN(run.*field, parse_count(*text));
    return {};
  };
}

result<void> set_cpus(run_file& run, const toml_value& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value.value)) {
    GERMLINE_TRY_ASSIGN(run.cpu_milli, parse_cpu_milli(std::to_string(*whole)));
    return {};
  }
  if (const auto* real = std::get_if<double>(&value.value)) {
    if (!(*real >= 0.001 && *real <= 1024)) return wrong_type("between 0.001 and 1024");
    run.cpu_milli = std::llround(*real * 1000);
    return {};
  }
  return wrong_type("a number of CPUs, such as 2 or 0.5");
}

result<void> set_random_seed(run_file& run, const toml_value& value) {
  const auto* number = std::get_if<std::int64_t>(&value.value);
  if (number == nullptr || *number < 0) return wrong_type("a whole number, 0 or more");
  run.random_seed = static_cast<std::uint64_t>(*number);
  return {};
}

result<void> set_required_tags(run_file& run, const toml_value& value) {
  const auto* list = std::get_if<std::vector<std::string>>(&value.value);
  if (list == nullptr) return wrong_type("a list of tags, such as [\"gpu\"]");
  GERMLINE_TRY_ASSIGN(run.required_tags, checked_tags(*list));
  return {};
}

result<void> set_models(run_file& run, const toml_value& value) {
  const auto* list = std::get_if<std::vector<std::string>>(&value.value);
  if (list == nullptr || list->empty()) {
    return wrong_type("a list of models, such as [\"one\", \"another\"]");
  }
  if (!run.model.empty()) {
    return error(error_code::invalid_argument, "there is `name` already: give one of both");
  }
  if (std::find(list->begin(), list->end(), "") != list->end()) {
    return wrong_type("a list of models' names, none of them empty");
  }
  take_models(run, *list);
  return {};
}

result<void> set_model(run_file& run, const toml_value& value) {
  if (!run.model.empty()) {
    return error(error_code::invalid_argument, "there is `names` already: give one of both");
  }
  return text_into(&run_file::model)(run, value);
}

result<void> set_policy(run_file& run, const toml_value& value) {
  const auto* list = std::get_if<std::vector<std::string>>(&value.value);
  if (list == nullptr) return wrong_type("a list of rules, such as [\"failure-streak 3 pause\"]");
  run.policy = *list;
  return {};
}

const std::array<known_key, 35>& known_keys() {
  static const std::array<known_key, 35> keys{{
      {"run.name", text_into(&run_file::name)},
      {"run.repository", text_into(&run_file::repository)},
      {"run.branch", text_into(&run_file::branch)},
      {"run.folder", text_into(&run_file::folder)},
      {"run.lineages", count_into(&run_file::lineages, 1, lineages_max)},
      {"run.iterations", count_into(&run_file::iterations, 0, iterations_max)},
      {"run.priority", count_into(&run_file::priority, -priority_max, priority_max)},
      {"run.weight", count_into(&run_file::weight, 1, weight_max)},
      {"run.strategy", text_into(&run_file::strategy)},
      {"run.inspirations", count_into(&run_file::inspirations, 0, shown_max)},
      {"run.policy", set_policy},
      {"run.goal", text_into(&run_file::goal)},
      {"run.random_seed", set_random_seed},
      {"run.require", set_required_tags},
      {"run.held_out", text_into(&run_file::held_out)},
      {"model.name", set_model},
      {"model.names", set_models},
      {"model.choice", text_into(&run_file::model_choice)},
      {"model.budget", parsed_into(&run_file::budget_nanousd, &parse_usd)},
      {"model.evaluation_budget", parsed_into(&run_file::evaluation_budget_nanousd, &parse_usd)},
      {"model.lineage_budget", parsed_into(&run_file::lineage_budget_nanousd, &parse_usd)},
      {"model.token_budget", amount_into(&run_file::budget_tokens)},
      {"model.request_budget", amount_into(&run_file::budget_requests)},
      {"model.evaluation_token_budget", amount_into(&run_file::evaluation_budget_tokens)},
      {"model.evaluation_request_budget", amount_into(&run_file::evaluation_budget_requests)},
      {"model.lineage_token_budget", amount_into(&run_file::lineage_budget_tokens)},
      {"model.lineage_request_budget", amount_into(&run_file::lineage_budget_requests)},
      {"sandbox.memory", parsed_into(&run_file::memory_bytes, &parse_size_bytes)},
      {"sandbox.cpus", set_cpus},
      {"sandbox.wall_time", parsed_into(&run_file::wall_time_ms, &parse_duration_ms)},
      {"sandbox.pids", count_into(&run_file::pids, 1, std::numeric_limits<std::int32_t>::max())},
      {"sandbox.disk", parsed_into(&run_file::disk_bytes, &parse_size_bytes)},
      {"limits.requests", count_into(&run_file::max_requests, 1)},
      {"limits.requests_per_minute", count_into(&run_file::max_requests_per_minute, 1)},
      {"limits.output_tokens", count_into(&run_file::max_output_tokens, 1)},
  }};
  return keys;
}

result<void> apply(run_file& run, const toml_value& value) {
  if (value.key == "limits.budget") {
    return parsed_into(&run_file::iteration_budget_nanousd, &parse_usd)(run, value);
  }
  std::vector<std::string_view> names{"schema", "limits.budget"};
  for (const auto& key : known_keys()) {
    if (key.name == value.key) return key.set(run, value);
    names.push_back(key.name);
  }
  return error(error_code::invalid_argument, unknown_key_message(value.key, names));
}

/// A word of visible ASCII, without what parts a strategy's words.
bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char letter) {
    return letter > ' ' && letter <= '~' && letter != ',' && letter != '=';
  });
}

/// NAME[,KEY=VALUE...]. Which names and keys there are is the coordinator's to say.
bool has_form_of_strategy(std::string_view text) {
  auto comma = std::min(text.find(','), text.size());
  if (!is_word(text.substr(0, comma))) return false;
  while (comma < text.size()) {
    text.remove_prefix(comma + 1);
    comma = std::min(text.find(','), text.size());
    const auto option = text.substr(0, comma);
    const auto equals = option.find('=');
    if (equals == std::string_view::npos) return false;
    if (!is_word(option.substr(0, equals)) || !is_word(option.substr(equals + 1))) return false;
  }
  return true;
}

/// Within so many bytes; else with `advice` behind what is wrong.
result<void> check_size(const std::string& what, std::string_view text, std::size_t bytes_max,
                        const std::string& advice) {
  if (text.size() <= bytes_max) return {};
  return error(error_code::invalid_argument, what + " has " + std::to_string(text.size()) +
                                                 " bytes; at most " + std::to_string(bytes_max) +
                                                 " are taken" + advice);
}

}  // namespace

result<std::int64_t> parse_cpu_milli(std::string_view text) {
  // The same decimal reading as money: exact, and never a float.
  const auto parsed = parse_usd(text.starts_with('$') ? std::string_view() : text);
  constexpr std::int64_t nano_per_milli = 1'000'000;
  if (!parsed || *parsed % nano_per_milli != 0 || *parsed == 0 ||
      *parsed > 1024 * nanousd_per_usd) {
    return error(error_code::invalid_argument,
                 "'" + std::string(text) + "' is not a number of CPUs; write 2 or 0.5");
  }
  return *parsed / nano_per_milli;
}

result<run_file> parse_run_file(std::string_view text, std::string_view name) {
  GERMLINE_TRY_ASSIGN(const auto values, parse_toml(text, name));
  run_file run;
  std::optional<std::int64_t> schema;
  for (const auto& value : values) {
    const auto place = std::string(name) + ":" + std::to_string(value.line);
    if (value.key == "schema") {
      const auto* number = std::get_if<std::int64_t>(&value.value);
      if (number == nullptr || *number != 1) {
        return error(error_code::invalid_argument, place + ": `schema` must be 1");
      }
      schema = *number;
      continue;
    }
    if (const auto set = apply(run, value); !set) {
      const bool unknown = set.error().message().starts_with("unknown key");
      return set.error().within(unknown ? place : place + ": `" + value.key + "`");
    }
  }
  if (!schema) {
    return error(error_code::invalid_argument,
                 std::string(name) + ": `schema = 1` is missing at the top");
  }
  return run;
}

result<void> check_run_texts(const run_texts& texts) {
  GERMLINE_TRY(check_size("the run's name", texts.name, name_bytes_max, ""));
  GERMLINE_TRY(check_size("the branch's name", texts.branch, branch_bytes_max, ""));
  GERMLINE_TRY(check_size("the model's name", texts.model, name_bytes_max, ""));
  GERMLINE_TRY(check_size("the goal", texts.goal, goal_bytes_max,
                          ": put the rest into a file of the genome, and name it in the goal"));
  GERMLINE_TRY(check_size("the strategy", texts.strategy, strategy_bytes_max, ""));
  if (!texts.strategy.empty() && !has_form_of_strategy(texts.strategy)) {
    return error(error_code::invalid_argument,
                 "'" + std::string(texts.strategy) +
                     "' is no strategy: write its name, and options behind it as KEY=VALUE, each "
                     "after a comma, such as best or archive-sampling,form=median");
  }
  auto folder = texts.folder;
  while (folder.size() > 1 && folder.back() == '/') folder.remove_suffix(1);
  if (folder.empty() || is_clean_relative_path(folder)) return {};
  return error(error_code::invalid_argument,
               "'" + std::string(texts.folder.substr(0, name_bytes_max)) +
                   "' is no folder inside the repository: write it from the repository's root on, "
                   "such as agents/one, or leave it out for the root itself");
}

result<void> check_share(std::int64_t priority, std::int64_t weight) {
  if (std::abs(priority) > priority_max) {
    return error(error_code::invalid_argument,
                 "a priority is from -" + std::to_string(priority_max) + " to " +
                     std::to_string(priority_max) + ", not " + std::to_string(priority));
  }
  if (weight < 1 || weight > weight_max) {
    return error(
        error_code::invalid_argument,
        "a weight is from 1 to " + std::to_string(weight_max) + ", not " + std::to_string(weight));
  }
  return {};
}

void take_models(run_file& run, std::vector<std::string> models) {
  run.model = models.front();
  if (models.size() == 1) models.clear();
  run.models = std::move(models);
}

result<void> check_models(std::string_view model, const std::vector<std::string>& models) {
  const auto refused = [](const std::string& why) {
    return error(error_code::invalid_argument, why);
  };
  if (models.empty()) return {};
  if (models.size() < 2 || models.size() > models_max) {
    return refused("several models are 2 to " + std::to_string(models_max) + ", not " +
                   std::to_string(models.size()));
  }
  for (std::size_t i = 0; i < models.size(); ++i) {
    const auto& each = models[i];
    const bool is_plain = std::all_of(each.begin(), each.end(),
                                      [](unsigned char c) { return c >= ' ' && c != 0x7f; });
    if (each.empty() || !is_plain || each.front() == ' ' || each.back() == ' ') {
      return refused(
          "a model's name is not empty, and without control characters and spaces around it");
    }
    GERMLINE_TRY(check_size("a model's name", each, name_bytes_max, ""));
    if (std::find(models.begin(), models.begin() + static_cast<std::ptrdiff_t>(i), each) !=
        models.begin() + static_cast<std::ptrdiff_t>(i)) {
      return refused("the model " + each + " is named twice");
    }
  }
  if (model != models.front()) return refused("the model is the first of several");
  return {};
}

namespace {

/// Of tokens or requests; money has its own words.
result<void> check_counted(const run_file& run, unit of) {
  const bool is_tokens = of == unit::tokens;
  const auto budget = is_tokens ? run.budget_tokens : run.budget_requests;
  const auto each = is_tokens ? run.evaluation_budget_tokens : run.evaluation_budget_requests;
  const auto own = is_tokens ? run.lineage_budget_tokens : run.lineage_budget_requests;
  const std::string all(words_of(of).all);
  const auto wrong = [&](const std::string& whose, const std::string& why) {
    const auto flag = budget_flag(whose, of);
    auto key = flag.substr(2);
    std::ranges::replace(key, '-', '_');
    return error(error_code::invalid_argument, why + " (" + flag + ", or " + key + " in [model])");
  };
  if (run.model.empty() && (budget >= 0 || each >= 0 || own >= 0)) {
    const auto* whose = budget >= 0 ? "" : each >= 0 ? "evaluation" : "lineage";
    return wrong(whose, "a budget of " + all + " needs --model (or name in [model])");
  }
  const auto words = [of](std::int64_t value) { return format_amount(of, value); };
  if (budget == 0) return wrong("", "a run's budget of " + all + " is above 0, or none at all");
  if (each == 0 || (budget > 0 && each > budget)) {
    return wrong("evaluation",
                 "an evaluation may take more than 0 " + all +
                     (budget > 0 ? " and no more than the run, " + words(budget) : std::string()) +
                     ": not " + words(each));
  }
  if (own == 0 || (budget > 0 && own > budget) || (own > 0 && own < each)) {
    return wrong("lineage",
                 "a lineage may take more than 0 " + all +
                     (budget > 0 ? ", no more than the run, " + words(budget) + "," : "") +
                     " and no less than an evaluation" +
                     (each > 0 ? ", " + words(each) : std::string()) + ": not " + words(own));
  }
  return {};
}

}  // namespace

result<void> check_run(const run_file& run) {
  GERMLINE_TRY(
      check_run_texts({run.name, run.branch, run.folder, run.model, run.goal, run.strategy}));
  GERMLINE_TRY(check_models(run.model, run.models));
  if (!run.model_choice.empty() && run.models.empty()) {
    return error(
        error_code::invalid_argument,
        "how a model is chosen (--choose-model, or choice in [model]) needs several models");
  }
  if (!run.model.empty() && run.budget_nanousd < 0) {
    return error(error_code::invalid_argument,
                 "a model costs money: say how much at most with --budget (or budget in [model]), "
                 "for example --budget '$5'");
  }
  if (!run.model.empty() && run.budget_nanousd == 0) {
    return error(error_code::invalid_argument,
                 "with a budget of $0.00 no model is asked, not even one that costs nothing: give "
                 "more with --budget (or budget in [model]), for example --budget '$5'");
  }
  if (run.model.empty() && run.budget_nanousd > 0) {
    return error(error_code::invalid_argument, "a budget, " + format_usd(run.budget_nanousd) +
                                                   ", needs --model (or name in [model])");
  }
  const auto each = run.evaluation_budget_nanousd;
  if (run.model.empty() && each >= 0) {
    return error(error_code::invalid_argument,
                 "what an evaluation may cost needs --model (or name in [model])");
  }
  if (each == 0 || each > run.budget_nanousd) {
    return error(error_code::invalid_argument,
                 "an evaluation may cost more than $0 and no more than the run's budget, " +
                     format_usd(run.budget_nanousd) + ": not " + format_usd(each) +
                     " (--evaluation-budget, or evaluation_budget in [model])");
  }
  const auto own = run.lineage_budget_nanousd;
  if (run.model.empty() && own >= 0) {
    return error(error_code::invalid_argument,
                 "what a lineage may spend needs --model (or name in [model])");
  }
  if (own == 0 || own > run.budget_nanousd || (own > 0 && own < each)) {
    return error(error_code::invalid_argument,
                 "a lineage may spend more than $0, no more than the run's budget, " +
                     format_usd(run.budget_nanousd) + ", and no less than an evaluation may cost" +
                     (each > 0 ? ", " + format_usd(each) : std::string()) + ": not " +
                     format_usd(own) + " (--lineage-budget, or lineage_budget in [model])");
  }
  GERMLINE_TRY(check_counted(run, unit::tokens));
  return check_counted(run, unit::requests);
}

}  // namespace germline
