#include "tool_loop.hpp"

#include "stuck_detector.hpp"

namespace agent {
namespace {

constexpr std::size_t talk_limit_bytes = 400'000;
constexpr std::size_t calls_per_turn = 16;

std::string text_of(const json& content) {
  std::string out;
  for (const auto& block : content.items()) {
    if (block["type"].string_or() == "text") out += block["text"].string_or();
  }
  return out;
}

tool_result run_call(session& s, const json& call, bool cut_off, std::size_t number) {
  if (cut_off || call["input_cut_off"].bool_or()) {
    return {
        "Not run: your answer was cut off before this call was complete. Make it again in "
        "smaller pieces, such as a shorter file with the rest inserted after.",
        true};
  }
  if (number > calls_per_turn) return {"Not run: at most 16 calls are run in one turn.", true};
  return call_tool(s.tools, call["name"].string_or(), call["input"]);
}

// Runs the calls of an answer and puts their results into the talk. Returns calls and results as
// text; empty if there was no call.
std::string run_calls(session& s, const llm_answer& answer) {
  std::string round;
  std::size_t number = 0;
  const auto& blocks = answer.content.items();
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i]["type"].string_or() != "tool_use") continue;
    const bool cut_off = answer.stop_reason == "max_tokens" && i + 1 == blocks.size();
    const auto done = run_call(s, blocks[i], cut_off, ++number);
    s.talk.add_result(blocks[i]["id"].string_or(), done.text, done.is_error);
    round += blocks[i]["name"].string_or() + blocks[i]["input"].text() + done.text;
  }
  return round;
}

// The member is ours: the API would refuse it in a call that is sent back.
json without_marks(const json& content) {
  json::array_type out;
  for (const auto& block : content.items()) {
    json::object_type members;
    for (const auto& member : block.members()) {
      if (member.name != "input_cut_off") members.push_back(member);
    }
    out.push_back(members);
  }
  return out;
}

llm_answer ask(session& s, const json& tools) {
  s.talk.compact(talk_limit_bytes);
  auto answer = s.model.ask(s.instructions, tools, s.talk.messages());
  for (auto limit = talk_limit_bytes / 2; answer.too_long && limit > 20'000; limit /= 2) {
    if (!s.talk.compact(limit)) continue;
    answer = s.model.ask(s.instructions, tools, s.talk.messages());
  }
  return answer;
}

}  // namespace

loop_outcome run_tool_loop(session& s, int max_turns) {
  const json tools = describe_tools(s.tools);
  stuck_detector stuck;
  loop_outcome outcome;
  for (int turn = 0; turn < max_turns; ++turn) {
    if (s.work.left() <= s.reserve) return {loop_ending::used_up, outcome.text, "time is up"};
    if (!s.model.may_ask()) {
      return {loop_ending::used_up, outcome.text, "the requests or tokens are used up"};
    }
    const auto answer = ask(s, tools);
    if (!answer.ok) return {loop_ending::unreachable, outcome.text, answer.why};
    s.talk.answer(without_marks(answer.content));
    const auto text = text_of(answer.content);
    if (!text.empty()) outcome.text = text;
    const auto round = run_calls(s, answer);
    if (answer.stop_reason == "refusal") {
      return {loop_ending::refused, outcome.text, "the model refused"};
    }
    if (round.empty() && answer.stop_reason != "max_tokens" && answer.stop_reason != "pause_turn") {
      return outcome;
    }
    if (round.empty()) s.talk.say("Your answer was cut off. Go on from where it ended.");
    stuck.note(round.empty() ? text : round);
    if (stuck.repeats(5)) {
      return {loop_ending::stuck, outcome.text, "the same calls gave the same results five times"};
    }
    if (stuck.repeats(3))
      s.talk.say("You repeat yourself: the results stay the same. Do otherwise.");
  }
  return {loop_ending::used_up, outcome.text, "the turns are used up"};
}

}  // namespace agent
