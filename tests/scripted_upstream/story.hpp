// story: what the scripted provider answers, and to which requests (docs/scripted-provider.md).
// A step's predicates are tried on the request; the first that is not met is an unmet guard, which
// fails the story for good. Pure, without sockets; one thread at a time.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline::scripted {

/// A request as the predicates see it.
struct request_view {
  std::vector<std::string> tools;
  std::string system;
  std::string last_user_text;
  std::optional<std::string> last_tool_result;  // of the last message; all its results, joined
  bool last_tool_result_is_error = false;
  bool is_first = false;    // of its conversation: one message
  std::string any_message;  // every text, tool input and tool result of the conversation

  static request_view of(const nlohmann::json& request);
};

struct predicate {
  std::string name;
  nlohmann::json wanted;
};

struct story_step {
  std::string name;
  std::vector<predicate> when;
  nlohmann::json reply;  // {"content": [...], "stop_reason": "..."} or {"status":…, "error":…}
  bool optional = false;
  bool repeats = false;
  bool begins = false;  // an attempt; from here on it is told again to one that takes over
};

struct story_lane {
  std::string name;
  std::vector<predicate> match;
  std::vector<story_step> steps;
  std::size_t next = 0;
};

struct story_answer {
  bool ok = false;
  nlohmann::json reply;
  std::string mismatch;  // why it is not ok
  std::string step;
};

class story {
 public:
  static result<story> parse(std::string_view json_text);

  story_answer answer(const nlohmann::json& request);
  /// {"ok": …, "consumed": […], "told_again": […], "unused": […], "failure": {…}}; ok: no guard
  /// failed, no step is left over but optional ones.
  nlohmann::json report() const;
  bool failed() const { return !failure_.is_null(); }

 private:
  /// The step that begins what the lane is telling, if this is a first request that it takes.
  std::optional<std::size_t> begun_anew(const story_lane& lane, const request_view& view) const;
  story_answer fail(const std::string& lane, const std::string& step, const std::string& unmet,
                    const std::string& got, const nlohmann::json& request);

  std::vector<story_lane> lanes_;
  std::vector<std::string> consumed_, told_again_;
  const story_step* repeated_ = nullptr;  // the last one told, if it repeats
  nlohmann::json failure_;
};

/// Empty when `one` holds; otherwise what was got instead.
std::optional<std::string> unmet(const predicate& one, const request_view& request);

}  // namespace germline::scripted
