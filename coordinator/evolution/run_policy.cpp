#include "coordinator/evolution/run_policy.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "common/money.hpp"
#include "common/text/units.hpp"
#include "common/text/utf8.hpp"

namespace germline::evolution {
namespace {

using lineage::ending;
using lineage::policy_action;

constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t count_max = 1'000'000'000;
constexpr double factor_max = 1e6;

constexpr std::string_view refuse = "refuse";  // the action of near-duplicate alone
constexpr std::array actions = {policy_action::warn, policy_action::pause, policy_action::roll_back,
                                policy_action::kill, policy_action::kill_clade};

error wrong(const std::string& rule, const std::string& why) {
  return {error_code::invalid_argument, "'" + rule + "' is no rule of a policy: " + why};
}

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find_first_of(" \t\n\r\f\v", at), text.size());
    if (end > at) words.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// With all its digits, so that reading it gives the same number.
std::string exact_words(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return {text, end.ptr};
}

std::string factor_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// A limit as it was read, and as it is written.
struct limit {
  double value = 0;
  std::string text;
};

result<limit> read_limit(measure what, const std::string& text) {
  switch (what) {
    case measure::cost: {
      GERMLINE_TRY_ASSIGN(const auto nanousd, parse_usd(text));
      return limit{static_cast<double>(nanousd), format_usd(nanousd)};
    }
    case measure::age: {
      GERMLINE_TRY_ASSIGN(const auto ms, parse_duration_ms(text));
      return limit{static_cast<double>(ms), format_duration_ms(ms)};
    }
    case measure::source_size:
    case measure::context_size: {
      GERMLINE_TRY_ASSIGN(const auto bytes, parse_size_bytes(text));
      return limit{static_cast<double>(bytes), format_size_bytes(bytes)};
    }
    case measure::source_growth: {
      const auto factor = number_in<double>(text);
      if (!factor || !(*factor > 1 && *factor <= factor_max)) {
        return error(error_code::invalid_argument,
                     "'" + text + "' is no multiple of the seed's size; write 2 or 1.5");
      }
      return limit{*factor, exact_words(*factor)};
    }
    case measure::near_duplicate: {
      const auto part = number_in<double>(text);
      if (!part || !(*part > 0 && *part <= 1)) {
        return error(error_code::invalid_argument,
                     "'" + text + "' is no likeness, of more than 0 and at most 1; write 0.9");
      }
      return limit{*part, exact_words(*part)};
    }
    default: {
      const auto count = number_in<std::int64_t>(text);
      if (!count || *count < 1 || *count > count_max) {
        return error(error_code::invalid_argument,
                     "'" + text + "' is no number of iterations, from 1 on");
      }
      return limit{static_cast<double>(*count), std::to_string(*count)};
    }
  }
}

std::string named_measures() {
  std::string names;
  for (const auto& each : known_measures()) {
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  }
  return names;
}

std::string named_actions() {
  std::string names;
  for (const auto each : actions) {
    names += (names.empty() ? "" : ", ") + std::string(lineage::to_string(each));
  }
  return names;
}

/// What an agent says, so that spaces and letter case make no other of it.
std::string plain(const std::string& action) {
  std::string out;
  for (const auto& word : words_in(action)) out += (out.empty() ? "" : " ") + word;
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool is_trespass(const step& what) {
  return what.how == ending::rejected && what.reason == "protected";
}

std::string counted(double iterations) {
  const auto whole = static_cast<std::int64_t>(iterations);
  return std::to_string(whole) + (whole == 1 ? " iteration" : " iterations");
}

}  // namespace

const std::array<measure_words, measures>& known_measures() {
  static constexpr std::array<measure_words, measures> known{{
      {"failure-streak", "N", "iterations in a row that failed"},
      {"barren-streak", "N", "iterations in a row without a birth"},
      {"no-improvement", "N", "iterations since the one that bore the best (needs [fitness])"},
      {"repeated-action", "N", "iterations in a row that say that they did the same"},
      {"trespasses", "N", "iterations refused since they changed what is protected, in all"},
      {"iterations-per-hour", "N", "iterations that ended within the last hour"},
      {"cost", "USD", "what the lineage spent, such as $2.50"},
      {"age", "TIME", "since the lineage began, such as 24h"},
      {"source-size", "SIZE", "all files of a newborn but its context, such as 2MiB"},
      {"source-growth", "X", "the same, as a multiple of the seed's, such as 2 or 1.5"},
      {"context-size", "SIZE", "the context, such as 128KiB"},
      {"near-duplicate", "PART",
       "likeness of its change to one of the same parent, up to 1; may `refuse` it, too"},
  }};
  return known;
}

result<rule> parse_rule(std::string_view text) {
  const auto said = valid_utf8(text, 256);
  const auto words = words_in(said);
  if (words.size() != 3) {
    return wrong(said, "write MEASURE LIMIT ACTION, such as 'failure-streak 3 pause'");
  }
  rule out;
  const auto& known = known_measures();
  const auto named =
      std::ranges::find_if(known, [&](const auto& each) { return each.name == words[0]; });
  if (named == known.end()) {
    return wrong(said, "there is no measure '" + words[0] + "'; there are " + named_measures());
  }
  out.what = static_cast<measure>(named - known.begin());
  const auto action = std::ranges::find_if(
      actions, [&](policy_action each) { return lineage::to_string(each) == words[2]; });
  out.refuses = out.what == measure::near_duplicate && words[2] == refuse;
  if (action == actions.end() && !out.refuses) {
    if (words[2] == refuse) return wrong(said, "only near-duplicate can `refuse` what it finds");
    const std::string more = out.what == measure::near_duplicate ? ", refuse" : "";
    return wrong(said,
                 "there is no action '" + words[2] + "'; there are " + named_actions() + more);
  }
  if (!out.refuses) out.action = *action;
  const auto limit = read_limit(out.what, words[1]);
  if (!limit) return wrong(said, limit.error().message());
  if (!(limit->value > 0)) return wrong(said, "the limit must be greater than 0");
  out.limit = limit->value;
  out.text = std::string(named->name) + " " + limit->text + " " +
             (out.refuses ? std::string(refuse) : lineage::to_string(out.action));
  return out;
}

result<run_policy> parse_policy(const std::vector<std::string>& texts) {
  if (texts.size() > rules_max) {
    return error(error_code::invalid_argument, "a policy has at most " + std::to_string(rules_max) +
                                                   " rules; " + std::to_string(texts.size()) +
                                                   " were given");
  }
  run_policy policy;
  for (const auto& text : texts) {
    GERMLINE_TRY_ASSIGN(auto read, parse_rule(text));
    const bool twice =
        std::ranges::any_of(policy, [&](const rule& other) { return other.text == read.text; });
    if (twice) return wrong(read.text, "it is said twice");
    policy.push_back(std::move(read));
  }
  return policy;
}

result<void> check_policy(const run_policy& policy, const policed_run& run) {
  const auto refuse = [](const rule& of, const std::string& why) -> result<void> {
    return error(error_code::invalid_argument, "the rule '" + of.text + "' " + why);
  };
  for (const auto& each : policy) {
    const bool goes_back = each.action == policy_action::roll_back;
    if (goes_back && run.chooses_parents) {
      return refuse(each,
                    "takes a lineage back, and the run's strategy chooses by itself what each "
                    "iteration starts from: take another action, or the strategy chain");
    }
    if (goes_back && each.what == measure::context_size) {
      return refuse(each, "does nothing: a rollback keeps the newest context. Take another action");
    }
    if (each.what == measure::no_improvement && !run.is_measured) {
      return refuse(each,
                    "is about scores, and the genome has no [fitness]: give it one, or leave "
                    "the rule out");
    }
    if (each.what == measure::cost && !run.has_model) {
      return refuse(each, "is about money, and the run has no model: leave it out");
    }
    const auto seed = each.what == measure::source_size    ? run.seed_source_bytes
                      : each.what == measure::context_size ? run.seed_context_bytes
                                                           : 0;
    if (seed > 0 && static_cast<double>(seed) >= each.limit) {
      return refuse(each, "is hit by the seed already, which has " + rough_size(seed) +
                              " of it: take a greater limit");
    }
  }
  return {};
}

double refused_likeness(const run_policy& policy) {
  double least = 0;
  for (const auto& each : policy) {
    if (each.refuses && (least == 0 || each.limit < least)) least = each.limit;
  }
  return least;
}

tally::tally(beginning with) : with_(std::move(with)) {
  if (with_.is_measured) unmeasured_[with_.generation] = 0;
}

void tally::measured(const std::string& generation, std::optional<double> mean) {
  const auto found = unmeasured_.find(generation);
  if (found == unmeasured_.end()) return;
  const auto at = found->second;
  unmeasured_.erase(found);
  if (!mean) return;
  const bool better = !best_ || (with_.minimizes ? *mean < *best_ : *mean > *best_);
  if (!better) return;
  best_ = mean;
  best_at_ = std::max(best_at_, at);
}

void tally::add(const step& what) {
  before_ = now_;
  ++iterations_;
  const bool is_born = !what.born.empty();
  if (is_born && with_.is_measured) unmeasured_[what.born] = iterations_;

  now(measure::failure_streak) =
      what.how == ending::failed ? value(measure::failure_streak) + 1 : 0;
  now(measure::barren_streak) = is_born ? 0 : value(measure::barren_streak) + 1;
  if (is_trespass(what)) now(measure::trespasses) += 1;
  now(measure::cost) += static_cast<double>(what.cost_nanousd);
  now(measure::age) = static_cast<double>(std::max<std::int64_t>(0, what.ended_ms - with_.at_ms));

  const auto action = plain(what.action);
  const bool again = !action.empty() && action == last_action_;
  now(measure::repeated_action) = action.empty() ? 0
                                  : again        ? value(measure::repeated_action) + 1
                                                 : 1;
  last_action_ = action;

  ended_ms_.push_back(what.ended_ms);
  while (ended_ms_.front() <= what.ended_ms - hour_ms) ended_ms_.pop_front();
  now(measure::iterations_per_hour) = static_cast<double>(ended_ms_.size());

  // Those after the eldest that is not measured may have improved.
  auto known = iterations_;
  for (const auto& [generation, at] : unmeasured_) known = std::min(known, at - 1);
  now(measure::no_improvement) =
      best_ ? static_cast<double>(std::max<std::int64_t>(0, known - best_at_)) : 0;

  // Of each change by itself.
  now(measure::near_duplicate) = what.likeness;
  before_.at(static_cast<std::size_t>(measure::near_duplicate)) = 0;
  like_ = what.like;

  if (what.context_bytes > 0) now(measure::context_size) = static_cast<double>(what.context_bytes);
  // From parent to child; but one that moved to a large parent has grown by that too.
  const auto parent = static_cast<double>(what.parent_source_bytes);
  const auto child = is_born ? static_cast<double>(what.source_bytes) : parent;
  const auto from = iterations_ == 1 ? parent : std::min(parent, value(measure::source_size));
  const auto seed = static_cast<double>(with_.seed_source_bytes);
  before_.at(static_cast<std::size_t>(measure::source_size)) = from;
  now(measure::source_size) = child;
  before_.at(static_cast<std::size_t>(measure::source_growth)) = seed > 0 ? from / seed : 0;
  now(measure::source_growth) = seed > 0 ? child / seed : 0;
}

std::vector<std::string> tally::unmeasured() const {
  std::vector<std::string> out;
  for (const auto& [generation, at] : unmeasured_) out.push_back(generation);
  return out;
}

std::vector<finding> tally::findings(const run_policy& policy) const {
  std::vector<finding> out;
  for (const auto& rule : policy) {
    const auto after = value(rule.what);
    const auto before = before_.at(static_cast<std::size_t>(rule.what));
    if (std::floor(after / rule.limit) > std::floor(before / rule.limit)) {
      out.push_back({&rule, after, words_of(rule.what)});
    }
  }
  return out;
}

std::string tally::words_of(measure what) const {
  const auto of = value(what);
  const auto whole = static_cast<std::int64_t>(of);
  switch (what) {
    case measure::failure_streak:
      return counted(of) + " in a row failed";
    case measure::barren_streak:
      return counted(of) + " in a row bore nothing";
    case measure::no_improvement:
      return counted(of) + " without a better score than " + factor_words(best_.value_or(0));
    case measure::repeated_action:
      return counted(of) + " in a row did the same: " + valid_utf8(last_action_, 200);
    case measure::trespasses:
      return counted(of) + " changed what is protected";
    case measure::iterations_per_hour:
      return counted(of) + " within an hour";
    case measure::cost:
      return format_usd(whole) + " spent";
    case measure::age:
      return "it began " + format_duration_ms(whole / 1000 * 1000) + " ago";
    case measure::source_size:
      return "the source has " + rough_size(whole);
    case measure::source_growth:
      return "the source is " + factor_words(of) + " times as large as the seed's";
    case measure::context_size:
      return "the context has " + rough_size(whole);
    case measure::near_duplicate:
      return "its change is that of " + like_ + ", by " + factor_words(of);
  }
  return {};
}

const finding* strongest(const std::vector<finding>& all) {
  const finding* found = nullptr;
  for (const auto& each : all) {
    if (each.by->action <= policy_action::warn) continue;
    if (found == nullptr || each.by->action > found->by->action) found = &each;
  }
  return found;
}

}  // namespace germline::evolution
