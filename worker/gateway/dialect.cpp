#include "worker/gateway/dialect.hpp"

namespace germline::worker {

std::span<const dialect* const> all_dialects() {
  static const dialect* const all[] = {&messages_dialect(), &chat_dialect(), &responses_dialect()};
  return all;
}

const dialect* find_dialect(std::string_view name) {
  for (const dialect* one : all_dialects()) {
    if (one->name() == name) return one;
  }
  return nullptr;
}

}  // namespace germline::worker
