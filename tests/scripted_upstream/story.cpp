#include "tests/scripted_upstream/story.hpp"

#include <algorithm>
#include <regex>

#include "tests/scripted_upstream/story_reading.hpp"

namespace germline::scripted {
namespace {

using nlohmann::json;

constexpr std::size_t excerpt_bytes = 1500;

std::string excerpt(const std::string& text) {
  if (text.size() <= excerpt_bytes) return text;
  const auto half = excerpt_bytes / 2;
  return text.substr(0, half) + " […] " + text.substr(text.size() - half);
}

/// The text of a content member: a string, or blocks.
std::string text_of(const json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string all;
  if (!content.is_array()) return all;
  for (const auto& block : content) {
    if (!block.is_object()) continue;
    if (block.value("type", "") == "text") all += block.value("text", "") + "\n";
  }
  return all;
}

void add_message(const json& message, request_view& view) {
  const json content = message.value("content", json());
  view.any_message += text_of(content) + "\n";
  if (content.is_array()) {
    for (const auto& block : content) {
      const std::string type = block.value("type", "");
      if (type == "tool_use") view.any_message += block.value("input", json()).dump() + "\n";
      if (type == "tool_result") view.any_message += text_of(block.value("content", json())) + "\n";
    }
  }
  if (message.value("role", "") == "user") {
    const std::string text = text_of(content);
    if (!text.empty()) view.last_user_text = text;
  }
}

}  // namespace

request_view request_view::of(const json& request) {
  request_view view;
  for (const auto& tool : request.value("tools", json::array())) {
    view.tools.push_back(tool.value("name", ""));
  }
  view.system = text_of(request.value("system", json()));
  const json messages = request.value("messages", json::array());
  for (const auto& message : messages) add_message(message, view);
  view.is_first = messages.size() == 1;
  json last;  // but for what the system says at the end
  for (const auto& message : messages) {
    if (message.value("role", "") != "system") last = message.value("content", json());
  }
  if (!last.is_array()) return view;
  for (const auto& block : last) {
    if (block.value("type", "") != "tool_result") continue;
    view.last_tool_result =
        view.last_tool_result.value_or("") + text_of(block.value("content", json()));
    view.last_tool_result_is_error |= block.value("is_error", false);
  }
  return view;
}

std::optional<std::string> unmet(const predicate& one, const request_view& request) {
  std::string_view name = one.name;
  const bool negated = name.starts_with("not_");
  if (negated) name.remove_prefix(4);
  bool holds = false;
  std::string got;
  if (name == "tools_include" || name == "tools_exclude") {
    const auto wanted = one.wanted.get<std::string>();
    const bool there =
        std::find(request.tools.begin(), request.tools.end(), wanted) != request.tools.end();
    holds = there == (name == "tools_include");
    got = json(request.tools).dump();
  } else if (name == "last_tool_result_is_error") {
    holds = request.last_tool_result_is_error == one.wanted.get<bool>();
    got = request.last_tool_result.value_or("no tool result");
  } else {
    const auto wanted = one.wanted.get<std::string>();
    if (name.starts_with("last_tool_result")) {
      got = request.last_tool_result.value_or("");
    } else if (name == "last_user_text_contains") {
      got = request.last_user_text;
    } else if (name == "system_contains") {
      got = request.system;
    } else {
      got = request.any_message;
    }
    holds = name == "last_tool_result_matches" ? std::regex_search(got, std::regex(wanted))
                                               : got.find(wanted) != std::string::npos;
  }
  if (holds != negated) return std::nullopt;
  return excerpt(got);
}

namespace {

struct difference {
  std::string name, got;  // what was demanded, as in a report
};

std::optional<difference> first_unmet(const story_step& step, const request_view& view) {
  for (const auto& one : step.when) {
    if (auto got = unmet(one, view)) {
      return difference{one.name + " " + one.wanted.dump(), std::move(*got)};
    }
  }
  return std::nullopt;
}

}  // namespace

result<story> story::parse(std::string_view json_text) {
  story read;
  GERMLINE_TRY_ASSIGN(read.lanes_, read_lanes(json_text));
  return read;
}

story_answer story::answer(const json& request) {
  if (failed()) {
    return {
        false, {}, "the story failed before, at step " + failure_["step"].get<std::string>(), ""};
  }
  const auto view = request_view::of(request);
  std::string lane_reasons;
  for (auto& lane : lanes_) {
    bool fits = true;
    for (const auto& one : lane.match) fits = fits && !unmet(one, view);
    if (!fits) {
      lane_reasons += lane.name + " ";
      continue;
    }
    std::string unmet_name = "a step that is left";
    std::string got = "a request after the last step";
    std::string step_name = "(end of lane " + lane.name + ")";
    while (lane.next < lane.steps.size()) {
      const auto& step = lane.steps[lane.next];
      const auto difference = first_unmet(step, view);
      if (!difference) {
        if (!step.repeats) ++lane.next;
        if (!step.repeats || repeated_ != &step) consumed_.push_back(step.name);
        repeated_ = step.repeats ? &step : nullptr;
        return {true, step.reply, "", step.name};
      }
      step_name = step.name;
      unmet_name = difference->name;
      got = difference->got;
      if (!step.optional) break;
      ++lane.next;  // passed over for good
    }
    if (const auto anew = begun_anew(lane, view)) {
      const auto& step = lane.steps[*anew];
      lane.next = *anew + 1;
      repeated_ = nullptr;
      consumed_.push_back(step.name);
      told_again_.push_back(step.name);
      return {true, step.reply, "", step.name};
    }
    return fail(lane.name, step_name, unmet_name, got, request);
  }
  return fail("", "(no lane)", "a lane that matches, of: " + lane_reasons, view.last_user_text,
              request);
}

std::optional<std::size_t> story::begun_anew(const story_lane& lane,
                                             const request_view& view) const {
  if (!view.is_first) return std::nullopt;
  for (auto i = std::min(lane.next, lane.steps.size()); i-- > 0;) {
    if (!lane.steps[i].begins) continue;
    if (first_unmet(lane.steps[i], view)) return std::nullopt;
    return i;
  }
  return std::nullopt;
}

story_answer story::fail(const std::string& lane, const std::string& step,
                         const std::string& unmet_name, const std::string& got,
                         const json& request) {
  const auto text = request.dump(-1, ' ', false, json::error_handler_t::replace);
  failure_ = {{"lane", lane},
              {"step", step},
              {"expected", unmet_name},
              {"got", excerpt(got)},
              {"request_excerpt", excerpt(text)}};
  return {false, {}, "step '" + step + "' expected " + unmet_name + ", got: " + excerpt(got), step};
}

json story::report() const {
  json unused = json::array();
  bool all = true;
  for (const auto& lane : lanes_) {
    for (std::size_t i = lane.next; i < lane.steps.size(); ++i) {
      if (&lane.steps[i] == repeated_) continue;  // it has been told, and could be once more
      unused.push_back(lane.steps[i].name);
      all = all && lane.steps[i].optional;
    }
  }
  json out = {{"scripted", true},
              {"ok", all && !failed()},
              {"consumed", consumed_},
              {"told_again", told_again_},
              {"unused", unused}};
  if (failed()) out["failure"] = failure_;
  return out;
}

}  // namespace germline::scripted
