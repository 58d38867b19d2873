// exchange: what the stand-in model of probation answers, and what it learnt of the artefact from
// its requests. Pure; no sockets. Dialects: Anthropic Messages, and OpenAI's Chat Completions and
// Responses. One thread at a time.
#pragma once

#include <string>
#include <string_view>

namespace germline::worker {

/// What the artefact has shown so far.
struct probation_record {
  int requests = 0;
  bool valid_request = false;  // with a model, messages (or input) and at least one tool
  bool tool_returned = false;  // the result of the offered tool that was called came back
  std::string called_tool;
  std::string complaint;  // why the latest invalid request was invalid; empty if none was

  bool passed() const { return valid_request && tool_returned; }
};

struct stand_in_reply {
  int status = 200;
  std::string content_type;
  std::string body;
};

class exchange {
 public:
  /// `path` without its query. Any input is answered; invalid input with status 400 or 404.
  stand_in_reply answer(std::string_view method, std::string_view path, std::string_view body);

  const probation_record& record() const { return record_; }
  /// {"requests": n, "valid_request": b, "tool_returned": b, "called_tool": s, "complaint": s}
  std::string record_json() const;

 private:
  stand_in_reply anthropic(std::string_view body);
  stand_in_reply openai(std::string_view body);
  stand_in_reply responses(std::string_view body);
  stand_in_reply complain(std::string text);

  probation_record record_;
  std::string call_id_;
};

}  // namespace germline::worker
