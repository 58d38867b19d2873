// conversation: a transcript's requests as people read them: of each what is new against the one
// before, the answer, and what it cost. All text is neutralised here.
// Pure; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/render/conversation_parts.hpp"
#include "cli/render/style.hpp"

namespace germline::cli {

/// One request and its answer.
struct conversation_exchange {
  std::size_t number = 0;  // from 1
  std::string at;
  std::string path;
  std::string upstream;
  std::string request;
  std::string response;
  unsigned status = 0;
  std::string outcome;
  std::int64_t duration_ms = 0;
  std::int64_t input_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t cost_nanousd = 0;
  bool is_cut = false;  // not all of request and answer was recorded
};

class conversation {
 public:
  /// `whole`: of long texts not the beginning only.
  conversation(const style& how, bool whole) : how_(how), whole_(whole) {}

  /// With what was told before in mind; the first is told whole.
  std::string tell(const conversation_exchange& one);

 private:
  std::string told(const conversation_part& part) const;
  void keep(std::vector<conversation_part> said, const std::vector<conversation_part>& answer);

  style how_;
  bool whole_;
  std::vector<conversation_part> before_;  // the request, and its answer
  std::size_t asked_before_ = 0;           // of these
};

}  // namespace germline::cli
