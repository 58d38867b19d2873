#include "common/context/agent_context.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/git/commit.hpp"

namespace germline {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t details_bytes_max = 16 * 1024;
constexpr auto any_size = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kept_entries = 8;  // that a compaction by the worker leaves as they are

error bad(std::string message) {
  return {error_code::invalid_argument, "the context " + std::move(message)};
}

/// Whether brackets nest deeper than `depth` outside of strings. Looks at bytes only, so it is safe
/// before parsing.
bool nests_deeper(std::string_view text, std::int64_t depth) {
  std::int64_t now = 0;
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
      if (++now > depth) return true;
    } else if (c == ']' || c == '}') {
      --now;
    }
  }
  return false;
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
  return count > 0 && count < (std::int64_t{1} << 40) ? count : 0;
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
  if (static_cast<std::int64_t>(text.size()) > limits.bytes) {
    return error(error_code::resource_exhausted, "the context has " + std::to_string(text.size()) +
                                                     " bytes (limit " +
                                                     std::to_string(limits.bytes) + ")");
  }
  if (nests_deeper(text, limits.depth)) {
    return error(error_code::resource_exhausted,
                 "the context nests deeper than " + std::to_string(limits.depth));
  }
  json root;
  try {
    root = json::parse(text);
  } catch (const json::parse_error& failure) {
    return bad("is not JSON (" + place_in(text, failure.byte) + ")");
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

/// Folds the oldest entries into one summary, so that `keep` entries stay as they are.
void fold(json& history, std::size_t keep) {
  if (history.size() <= keep) return;
  const auto count = history.size() - keep;
  if (count == 1 && history[0].contains("summarizes")) return;
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
                  {"summarizes", stands_for}};
  json folded = json::array({std::move(summary)});
  for (std::size_t i = count; i < history.size(); ++i) folded.push_back(std::move(history[i]));
  history = std::move(folded);
}

std::string write(const json& root) {
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

result<void> check_context(std::string_view text, const context_limits& limits) {
  GERMLINE_TRY(parse_context(text, limits));
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

result<std::string> append_entry(std::string_view base, const context_entry& entry,
                                 const context_limits& limits) {
  auto parsed = parse_context(base, {any_size, limits.depth});
  json root = parsed ? std::move(*parsed) : json{{"goalState", ""}, {"history", json::array()}};
  auto& history = root["history"];
  history.push_back({{"timestamp", entry.timestamp},
                     {"action", git::one_line(entry.action, 1'024)},
                     {"result", entry.success ? "success" : "failure"},
                     {"details", entry.details.substr(0, details_bytes_max)}});
  auto text = write(root);
  for (auto keep = std::max(history.size() / 2, kept_entries);
       static_cast<std::int64_t>(text.size()) > limits.bytes; keep /= 2) {
    fold(history, std::max<std::size_t>(keep, 1));
    text = write(root);
    if (keep <= 1) break;
  }
  if (static_cast<std::int64_t>(text.size()) > limits.bytes + context_reserve_bytes) {
    return error(error_code::resource_exhausted,
                 "the context passes its bound even with its history folded");
  }
  return text;
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
