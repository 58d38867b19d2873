// GERMLINE_ASSERT(condition): checks what programmers may get wrong, in release builds too. A
// failure prints the place and the condition and aborts.
#pragma once

namespace germline {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace germline

#define GERMLINE_ASSERT(condition)    \
  ((condition) ? static_cast<void>(0) \
               : ::germline::assertion_failed(#condition, __FILE__, __LINE__))
