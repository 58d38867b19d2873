#include "tests/scripted_upstream/story_reading.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <set>

#include "tests/scripted_upstream/reply_reading.hpp"

namespace germline::scripted {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 8> predicate_names = {"tools_include",
                                                             "tools_exclude",
                                                             "last_tool_result_contains",
                                                             "last_tool_result_matches",
                                                             "last_tool_result_is_error",
                                                             "last_user_text_contains",
                                                             "system_contains",
                                                             "any_message_contains"};

error wrong(const std::string& what) {
  return {error_code::invalid_argument, what};
}

/// Finds the first key that an object has twice, while the text is parsed.
class repeated_keys {
 public:
  void see(json::parse_event_t event, const json& parsed) {
    using kind = json::parse_event_t;
    const bool opens = event == kind::object_start || event == kind::array_start;
    if ((opens || event == kind::value) && !levels_.empty()) ++levels_.back().elements;
    if (opens) levels_.push_back({event == kind::array_start, 0, "", {}});
    if (event == kind::object_end || event == kind::array_end) levels_.pop_back();
    if (event != kind::key) return;
    auto& last = levels_.back();
    last.key = parsed.get<std::string>();
    if (last.seen.insert(last.key).second || !key_.empty()) return;
    key_ = "'" + last.key + "'";
    for (std::size_t i = 0; i + 1 < levels_.size(); ++i) {
      path_.push_back(levels_[i].is_list ? std::to_string(levels_[i].elements) : levels_[i].key);
    }
  }

  /// The key in quotes, or nothing.
  const std::string& key() const { return key_; }
  /// The way to its object: names, and places in lists from 1.
  const std::vector<std::string>& path() const { return path_; }

 private:
  struct level {
    bool is_list;
    std::size_t elements;
    std::string key;
    std::set<std::string> seen;
  };
  std::vector<level> levels_;
  std::vector<std::string> path_;
  std::string key_;
};

/// As errors call it.
std::string lane_name(const json& item, std::size_t number) {
  const auto found = item.is_object() ? item.find("lane") : item.end();
  const bool named = item.is_object() && found != item.end() && found->is_string();
  return named ? found->get<std::string>() : std::to_string(number);
}

/// "lane main, step 2, reply.content.1" of a path within `file`.
std::string place_of(const std::vector<std::string>& path, const json& file) {
  std::string place = "the story";
  std::string lane = "main";
  std::size_t at = 0;
  if (path.size() > 1 && path[0] == "lanes" && file["lanes"].is_array()) {
    const auto number = std::stoul(path[1]);
    const bool there = number <= file["lanes"].size();  // 'lanes' may itself be there twice
    lane = there ? lane_name(file["lanes"][number - 1], number) : path[1];
    place = "lane " + lane;
    at = 2;
  }
  if (path.size() > at + 1 && path[at] == "steps") {
    place = "lane " + lane + ", step " + path[at + 1];
    at += 2;
  }
  for (bool first = true; at < path.size(); ++at, first = false) {
    place += (first ? ", " : ".") + path[at];
  }
  return place;
}

result<json> parse_file(std::string_view json_text) {
  try {
    repeated_keys repeated;
    json file = json::parse(
        json_text,
        [&](int, json::parse_event_t event, json& parsed) {
          repeated.see(event, parsed);
          return true;
        },
        true, true);
    if (!repeated.key().empty()) {
      return wrong(place_of(repeated.path(), file) + " has " + repeated.key() +
                   " twice; an object has a key once");
    }
    return file;
  } catch (const json::exception& bad) {
    return wrong(std::string("the story cannot be read: ") + bad.what());
  }
}

result<std::vector<predicate>> read_predicates(const json& item, const char* member,
                                               const std::string& where) {
  std::vector<predicate> predicates;
  const auto list = item.find(member);
  if (list == item.end()) return predicates;
  if (!list->is_array()) {
    return not_right(where, "'" + std::string(member) + "' is a list of predicates", *list);
  }
  for (const auto& one : *list) {
    if (!one.is_object() || one.size() != 1) {
      return not_right(where, "a predicate is {name: value}", one);
    }
    const std::string name = one.begin().key();
    std::string_view plain = name;
    if (plain.starts_with("not_")) plain.remove_prefix(4);
    if (plain == "goal_contains") plain = "any_message_contains";
    if (std::ranges::find(predicate_names, plain) == predicate_names.end()) {
      return wrong(where + ": unknown predicate '" + name + "'");
    }
    const bool boolean = plain == "last_tool_result_is_error";
    const json& wanted = *one.begin();
    if (boolean ? !wanted.is_boolean() : !wanted.is_string()) {
      return not_right(where, "'" + name + "' takes a " + (boolean ? "boolean" : "string"), wanted);
    }
    if (plain == "last_tool_result_matches") {
      try {
        const std::regex tried(wanted.get<std::string>());
      } catch (const std::regex_error& bad) {
        return wrong(where + ": " + name + ": " + bad.what());
      }
    }
    predicates.push_back({name, wanted});
  }
  return predicates;
}

result<bool> read_boolean(const json& item, const char* name, bool missing,
                          const std::string& where) {
  const auto found = item.find(name);
  if (found == item.end()) return missing;
  if (found->is_boolean()) return found->get<bool>();
  return not_right(where, "'" + std::string(name) + "' is true or false", *found);
}

result<std::string> read_name(const json& name, const char* member, const std::string& where) {
  if (name.is_string() && name != "") return name.get<std::string>();
  return not_right(where, "'" + std::string(member) + "' is a string that is not empty", name);
}

result<story_step> read_step(const json& item, const std::string& where) {
  if (!item.is_object() || !item.contains("name") || !item.contains("reply")) {
    return wrong(where + " needs 'name' and 'reply'");
  }
  GERMLINE_TRY(only_keys(item, {"name", "when", "reply", "optional", "repeats", "begins"}, where));
  story_step step;
  GERMLINE_TRY_ASSIGN(step.name, read_name(item["name"], "name", where));
  GERMLINE_TRY_ASSIGN(step.reply, read_reply(item["reply"], where));
  GERMLINE_TRY_ASSIGN(step.repeats, read_boolean(item, "repeats", false, where));
  GERMLINE_TRY_ASSIGN(step.optional, read_boolean(item, "optional", step.repeats, where));
  GERMLINE_TRY_ASSIGN(step.begins, read_boolean(item, "begins", false, where));
  if (step.repeats && !step.optional) {
    return wrong(where + ": a step that repeats need not be told; leave out 'optional'");
  }
  GERMLINE_TRY_ASSIGN(step.when, read_predicates(item, "when", where));
  return step;
}

/// The steps, and to which requests; of a lane, or of the story that is one.
result<story_lane> read_steps(const json& item, const std::string& name) {
  story_lane lane;
  lane.name = name;
  GERMLINE_TRY_ASSIGN(lane.match, read_predicates(item, "match", "lane " + name));
  if (!item.contains("steps") || !item["steps"].is_array()) {
    return wrong("lane " + name + " needs a list 'steps'");
  }
  for (const auto& step : item["steps"]) {
    const std::string where = "lane " + name + ", step " + std::to_string(lane.steps.size() + 1);
    GERMLINE_TRY_ASSIGN(auto read, read_step(step, where));
    lane.steps.push_back(std::move(read));
  }
  return lane;
}

result<story_lane> read_lane(const json& item, std::size_t number) {
  const auto name = lane_name(item, number);
  if (!item.is_object()) return not_right("lane " + name, "a lane is an object", item);
  GERMLINE_TRY(only_keys(item, {"lane", "match", "steps"}, "lane " + name));
  if (item.contains("lane")) {
    GERMLINE_TRY(read_name(item["lane"], "lane", "lane " + std::to_string(number)));
  }
  return read_steps(item, name);
}

}  // namespace

result<std::vector<story_lane>> read_lanes(std::string_view json_text) {
  GERMLINE_TRY_ASSIGN(const json file, parse_file(json_text));
  if (!file.is_object() || file.contains("steps") == file.contains("lanes")) {
    return wrong("the story is an object with 'steps' or 'lanes': one or the other");
  }
  std::vector<story_lane> lanes;
  if (file.contains("steps")) {
    GERMLINE_TRY(only_keys(file, {"steps", "match"}, "the story"));
    GERMLINE_TRY_ASSIGN(auto lane, read_steps(file, "main"));
    lanes.push_back(std::move(lane));
    return lanes;
  }
  GERMLINE_TRY(only_keys(file, {"lanes"}, "the story"));
  if (!file["lanes"].is_array()) {
    return not_right("the story", "'lanes' is a list of lanes", file["lanes"]);
  }
  for (const auto& item : file["lanes"]) {
    GERMLINE_TRY_ASSIGN(auto lane, read_lane(item, lanes.size() + 1));
    lanes.push_back(std::move(lane));
  }
  return lanes;
}

}  // namespace germline::scripted
