#include "common/context/agent_context.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/git/commit.hpp"
#include "common/text/utf8.hpp"

namespace germline {
namespace {

using json = nlohmann::ordered_json;

// Written forms, with JSON's escapes. An entry and a summary fit in context_reserve_bytes together.
constexpr std::int64_t details_bytes_max = 32 * 1024;
constexpr std::int64_t summary_bytes_max = 8 * 1024;
static_assert(details_bytes_max + summary_bytes_max + 8 * 1024 <= context_reserve_bytes);
constexpr auto any_size = std::numeric_limits<std::int64_t>::max() / 2;
constexpr std::size_t kept_entries = 8;  // that a compaction by the worker leaves as they are
constexpr std::int64_t weight_end = std::int64_t{1} << 40;

error bad(std::string message) {
  return {error_code::invalid_argument, "the context " + std::move(message)};
}

/// Refuses deep nesting and objects with very many members, which take the parser quadratic time.
/// Looks at bytes only, so it is safe before parsing.
result<void> check_shape(std::string_view text, std::int64_t depth) {
  const auto beyond = [](std::string what) {
    return error(error_code::resource_exhausted, "the context " + std::move(what));
  };
  std::vector<std::int64_t> members;  // of each open bracket
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      members.push_back(0);
      if (static_cast<std::int64_t>(members.size()) > depth) {
        return beyond("nests deeper than " + std::to_string(depth));
      }
    } else if (c == ']' || c == '}') {
      if (!members.empty()) members.pop_back();
    } else if (c == ':' && !members.empty() && ++members.back() > context_members_max) {
      return beyond("has an object with more than " + std::to_string(context_members_max) +
                    " members");
    }
  }
  return {};
}

/// Where the parser stopped, which counts bytes from 1.
std::string place_in(std::string_view text, std::size_t byte) {
  const auto before = text.substr(0, byte == 0 ? 0 : byte - 1);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto begin = before.rfind('\n');
  const auto column = before.size() - (begin == std::string_view::npos ? 0 : begin + 1) + 1;
  return "line " + std::to_string(line) + ", byte " + std::to_string(column);
}

bool is_string(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string();
}

/// How many original entries an entry stands for; 0 when its "summarizes" is malformed.
std::int64_t weight(const json& entry) {
  const auto found = entry.find("summarizes");
  if (found == entry.end()) return 1;
  if (!found->is_number_integer()) return 0;
  const auto count = found->get<std::int64_t>();
  return count > 0 && count < weight_end ? count : 0;
}

result<void> check_entry(const json& entry, std::size_t index) {
  const auto where = "history entry " + std::to_string(index);
  if (!entry.is_object()) return bad(where + " is not an object");
  for (const auto* key : {"timestamp", "action", "details"}) {
    if (!is_string(entry, key)) return bad(where + " has no text \"" + std::string(key) + "\"");
  }
  if (!is_string(entry, "result") || (entry["result"].get_ref<const std::string&>() != "success" &&
                                      entry["result"].get_ref<const std::string&>() != "failure")) {
    return bad(where + " has no \"result\" of \"success\" or \"failure\"");
  }
  if (weight(entry) == 0) return bad(where + " has a malformed \"summarizes\"");
  if (entry.contains("summarizes") && index != 0) {
    return bad(where + " is a summary, which may stand first only");
  }
  return {};
}

result<json> parse_context(std::string_view text, const context_limits& limits) {
  const auto most = limits.bytes + context_reserve_bytes;
  if (static_cast<std::int64_t>(text.size()) > most) {
    return error(error_code::resource_exhausted, "the context has " + std::to_string(text.size()) +
                                                     " bytes (limit " + std::to_string(most) + ")");
  }
  GERMLINE_TRY(check_shape(text, limits.depth));
  json root;
  try {
    root = json::parse(text);
  } catch (const json::parse_error& failure) {
    return bad("is not JSON (" + place_in(text, failure.byte) + ")");
  } catch (const json::exception&) {  // out_of_range, which is no parse_error
    return bad("has a number that no double holds");
  }
  if (!root.is_object()) return bad("is not a JSON object");
  if (!is_string(root, "goalState")) return bad("has no text \"goalState\"");
  const auto history = root.find("history");
  if (history == root.end() || !history->is_array()) return bad("has no array \"history\"");
  for (std::size_t i = 0; i < history->size(); ++i) GERMLINE_TRY(check_entry((*history)[i], i));
  return root;
}

bool starts_with(const json& history, std::size_t at, const json& parent, std::size_t from) {
  if (history.size() - std::min(at, history.size()) < parent.size() - from) return false;
  for (std::size_t i = from; i < parent.size(); ++i) {
    if (history[at + i - from] != parent[i]) return false;
  }
  return true;
}

/// The index in `history` at which what is new begins; none when the parent's entries are not kept.
std::optional<std::size_t> new_entries_from(const json& parent, const json& history) {
  if (starts_with(history, 0, parent, 0)) return parent.size();
  if (history.empty() || !history[0].contains("summarizes") ||
      history[0]["details"].get_ref<const std::string&>().empty()) {
    return std::nullopt;
  }
  std::int64_t folded = 0;
  for (std::size_t k = 1; k <= parent.size(); ++k) {
    folded += weight(parent[k - 1]);
    if (folded == weight(history[0]) && starts_with(history, 1, parent, k)) {
      return 1 + parent.size() - k;
    }
  }
  return std::nullopt;
}

std::string compact(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::int64_t compact_bytes(const json& value) {
  return static_cast<std::int64_t>(compact(value).size());
}

/// What indentation by 2 adds to the compact form. Counted first, since it may be 60 times as much.
std::int64_t indentation_bytes(const json& value, std::int64_t depth) {
  if (!value.is_structured() || value.empty()) return 0;
  const std::int64_t each = 1 + 2 * (depth + 1) + (value.is_object() ? 1 : 0);
  auto bytes = static_cast<std::int64_t>(value.size()) * each + 1 + 2 * depth;
  for (const auto& inner : value) bytes += indentation_bytes(inner, depth + 1);
  return bytes;
}

std::string write(const json& root, const context_limits& limits) {
  auto text = compact(root);
  const auto indented = static_cast<std::int64_t>(text.size()) + indentation_bytes(root, 0) + 1;
  if (indented <= limits.bytes) text = root.dump(2, ' ', false, json::error_handler_t::replace);
  return text + "\n";
}

/// The beginning of `text` that is written in at most `bytes_max` bytes, escapes included.
std::string cut_text(std::string_view text, std::int64_t bytes_max) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto length = utf8_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    std::int64_t written = length == 0 ? 3 : static_cast<std::int64_t>(length);
    if (byte == '"' || byte == '\\') written = 2;
    if (byte < 0x20 || byte == 0x7f) written = 6;
    if (bytes_max < written) break;
    bytes_max -= written;
    at += std::max<std::size_t>(length, 1);
  }
  return std::string(text.substr(0, at));
}

/// The bytes of everything but the history's entries, which alone can be folded.
std::int64_t unfoldable_bytes(json& root) {
  auto history = std::move(root["history"]);
  root["history"] = json::array();
  const auto bytes = compact_bytes(root);
  root["history"] = std::move(history);
  return bytes;
}

/// Folds the oldest entries into one summary, so that `keep` entries stay as they are.
void fold(json& history, std::size_t keep) {
  if (history.size() <= keep) return;
  const auto count = history.size() - keep;
  const bool is_folded = count == 1 && history[0].contains("summarizes");
  if (is_folded && compact_bytes(history[0]) <= summary_bytes_max) return;
  std::int64_t stands_for = 0;
  std::size_t failures = 0;
  for (std::size_t i = 0; i < count; ++i) {
    stands_for += weight(history[i]);
    failures += history[i]["result"] == "failure" ? 1 : 0;
  }
  const auto until =
      git::one_line(history[count - 1]["timestamp"].get_ref<const std::string&>(), 64);
  std::string details = std::to_string(stands_for) + " earlier entries, up to " + until +
                        "; of the last " + std::to_string(count) + ", " + std::to_string(failures) +
                        " failed.";
  if (history[0].contains("summarizes")) {
    details +=
        " Before: " + git::one_line(history[0]["details"].get_ref<const std::string&>(), 2'048);
  }
  json summary = {{"timestamp", until},
                  {"action", "summary"},
                  {"result", "success"},
                  {"details", details},
                  {"summarizes", std::min(stands_for, weight_end - 1)}};
  json folded = json::array({std::move(summary)});
  for (std::size_t i = count; i < history.size(); ++i) folded.push_back(std::move(history[i]));
  history = std::move(folded);
}

/// Folds as much of the history as it takes, beside `unfoldable` bytes, to keep the bound.
void fold_to_fit(json& history, std::int64_t unfoldable, const context_limits& limits) {
  std::vector<std::int64_t> newest(history.size() + 1, 0);  // bytes of the newest k entries
  for (std::size_t k = 1; k <= history.size(); ++k) {
    newest[k] = newest[k - 1] + compact_bytes(history[history.size() - k]) + 1;
  }
  if (unfoldable + newest.back() <= limits.bytes) return;
  auto keep = std::max(history.size() / 2, kept_entries);
  while (keep > 1 &&
         unfoldable + summary_bytes_max + newest[std::min(keep, history.size())] > limits.bytes) {
    keep /= 2;
  }
  fold(history, keep);
}

}  // namespace

result<void> check_context(std::string_view text, const context_limits& limits) {
  GERMLINE_TRY_ASSIGN(auto root, parse_context(text, limits));
  const auto unfoldable = unfoldable_bytes(root);
  if (unfoldable > limits.bytes) {
    return error(error_code::resource_exhausted,
                 "the context has " + std::to_string(unfoldable) +
                     " bytes beside its history, written compactly (limit " +
                     std::to_string(limits.bytes) + ")");
  }
  return {};
}

result<void> keeps_history(std::string_view parent, std::string_view candidate,
                           const context_limits& limits) {
  GERMLINE_TRY_ASSIGN(const auto after, parse_context(candidate, limits));
  const auto before = parse_context(parent, {any_size, limits.depth});
  if (!before) return {};
  if (!new_entries_from((*before)["history"], after["history"])) {
    return bad("does not keep the parent's " + std::to_string((*before)["history"].size()) +
               " history entries as its beginning, nor a summary that counts them");
  }
  return {};
}

std::string append_entry(std::string_view base, const context_entry& entry,
                         const context_limits& limits) {
  auto parsed = parse_context(base, {any_size, limits.depth});
  json root = parsed ? std::move(*parsed) : json{{"goalState", ""}, {"history", json::array()}};
  std::string note;
  if (!parsed && !base.empty()) {
    note = "The context was begun anew, since " + parsed.error().message() + ". ";
  }
  auto unfoldable = unfoldable_bytes(root);
  if (unfoldable > limits.bytes) {
    note = "The context was too large and was cut: it had " + std::to_string(unfoldable) +
           " bytes beside its history. ";
    constexpr std::int64_t frame = 64;  // braces, names and quotes
    auto goal = cut_text(root["goalState"].get_ref<const std::string&>(), limits.bytes - frame);
    root = {{"goalState", std::move(goal)}, {"history", std::move(root["history"])}};
    unfoldable = unfoldable_bytes(root);
  }
  auto& history = root["history"];
  history.push_back({{"timestamp", cut_text(entry.timestamp, 256)},
                     {"action", git::one_line(entry.action, 1'024)},
                     {"result", entry.success ? "success" : "failure"},
                     {"details", cut_text(note + entry.details, details_bytes_max)}});
  fold_to_fit(history, unfoldable, limits);
  return write(root, limits);
}

std::string last_new_action(std::string_view parent, std::string_view candidate,
                            const context_limits& limits) {
  const auto after = parse_context(candidate, limits);
  if (!after) return {};
  const auto& history = (*after)["history"];
  const auto before = parse_context(parent, {any_size, limits.depth});
  const auto from = before ? new_entries_from((*before)["history"], history) : std::size_t{0};
  if (!from || *from >= history.size()) return {};
  return git::one_line(history.back()["action"].get_ref<const std::string&>(), 1'024);
}

}  // namespace germline
