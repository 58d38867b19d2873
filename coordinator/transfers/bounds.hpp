// bounds: how much of unfinished transfers the coordinator keeps, in either direction.
// Plain values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace germline::transfers {

struct keeping {
  std::size_t count = 16;
  std::int64_t bytes = std::int64_t{1} << 30;
  std::int64_t idle_ms = 10 * 60'000;  // since it was last used
};

}  // namespace germline::transfers
