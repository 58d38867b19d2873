// What was said so far, in the form of the Messages API: turns alternate, every tool call is
// followed by its result. Keeps itself within a bound of bytes.
#pragma once

#include <string>

#include "json.hpp"

namespace agent {

class conversation {
 public:
  /// Adds to what the model is told next (joined to a user turn that is still open).
  void say(const std::string& text);
  /// The model's turn. An answer without content is kept as a remark that it was empty.
  void answer(const json& content);
  /// The result of one tool call of the last answer.
  void add_result(const std::string& call_id, const std::string& text, bool is_error);

  const json& messages() const { return messages_; }

  /// If the messages take more than `limit` bytes: shortens old tool results and inputs, then folds
  /// the oldest turns into a digest in the first message. The first message and the last turns
  /// stay. Returns whether it changed anything.
  bool compact(std::size_t limit_bytes);

 private:
  json::array_type& user_blocks();

  json messages_ = json::list();
};

}  // namespace agent
