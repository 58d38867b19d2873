#include "worker/gateway/model_pattern.hpp"

#include <algorithm>

#include "worker/gateway/plain_text.hpp"

namespace germline::worker {

bool is_model_pattern(std::string_view text) {
  const auto star = text.find('*');
  return !text.empty() && (star == text.npos || star == text.size() - 1) &&
         !has_control_character(text) && !has_outer_space(text);
}

bool matches(std::string_view pattern, std::string_view model) {
  if (!pattern.ends_with('*')) return model == pattern;
  pattern.remove_suffix(1);
  return model.starts_with(pattern);
}

bool patterns_meet(std::string_view one, std::string_view other) {
  const bool one_open = one.ends_with('*');
  const bool other_open = other.ends_with('*');
  if (one_open) one.remove_suffix(1);
  if (other_open) other.remove_suffix(1);
  if (one_open && other_open) return one.starts_with(other) || other.starts_with(one);
  if (one_open) return other.starts_with(one);
  if (other_open) return one.starts_with(other);
  return one == other;
}

}  // namespace germline::worker
