// The loop of an agent: ask the model, run the tools that it calls, give the results back, until it
// ends its turn or a bound ends it.
#pragma once

#include <string>

#include "session.hpp"

namespace agent {

enum class loop_ending {
  done,         // the model ended its turn
  refused,      // the model would not go on
  stuck,        // the same calls gave the same results again and again
  used_up,      // turns, time, requests or tokens
  unreachable,  // the model cannot be asked, for good
};

struct loop_outcome {
  loop_ending ending = loop_ending::done;
  std::string text;  // what the model said last
  std::string why;   // if not done
};

/// Goes on with `s.talk`, whose last turn must be a user's.
loop_outcome run_tool_loop(session& s, int max_turns);

}  // namespace agent
