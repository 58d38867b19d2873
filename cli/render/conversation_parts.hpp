// conversation_parts: what was said in a request to a model and in its answer, read leniently from
// the JSON or the event stream of any dialect that the gateway speaks. Both came out of a sandbox
// or from a provider: hostile; texts are as they came.
// Pure; may be called from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace germline::cli {

/// One thing that was said: a text, a call of a tool, a result.
struct conversation_part {
  std::string heading;  // "user", "assistant calls bash", "result of bash"
  std::string text;
  bool operator==(const conversation_part&) const = default;
};

/// In their order: system text, what tools there are, messages. Of a text that cannot be read one
/// part that has it as it is.
std::vector<conversation_part> request_parts(std::string_view request);
std::vector<conversation_part> answer_parts(std::string_view answer);

}  // namespace germline::cli
