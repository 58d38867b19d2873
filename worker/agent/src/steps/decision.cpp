#include "steps/decision.hpp"

namespace agent {
namespace {

// The end of the object that begins at `begin`, by counting braces outside strings; npos: none.
std::size_t object_end(const std::string& text, std::size_t begin) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return text.npos;
}

}  // namespace

json find_object(const std::string& text, const std::string& name) {
  int tries = 0;
  for (auto at = text.rfind('{'); at != text.npos && tries < 100; ++tries) {
    const auto end = object_end(text, at);
    if (end != text.npos) {
      const auto value = json::parse(text.substr(at, end - at));
      if (value && value->has(name)) return *value;
    }
    if (at == 0) break;
    at = text.rfind('{', at - 1);
  }
  return {};
}

}  // namespace agent
