// cpu_time: what the calling thread has had of a processor, for tests and benchmarks: unlike a
// clock on the wall it stands still while others have the processor.
#pragma once

#include <time.h>

namespace germline {

/// Of the calling thread, in milliseconds.
inline double thread_cpu_ms() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e3 + static_cast<double>(spent.tv_nsec) / 1e6;
}

}  // namespace germline
