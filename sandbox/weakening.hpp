// weakening: which single layer of a sandbox a test takes away, so that an abuse case has a
// positive control. Not part of the product: the client side exists only where
// GERMLINE_ALLOW_WEAKENING is defined, and the product's zygote refuses every policy that carries
// one.
#pragma once

#include <cstdint>

namespace germline {

enum class weakening : std::uint32_t {
  none = 0,
  no_seccomp = 1U << 0,
  no_pids_limit = 1U << 1,
  no_memory_limit = 1U << 2,
  no_workspace_limit = 1U << 3,
  no_proc_masks = 1U << 4,
  no_deadline = 1U << 5,
};

constexpr std::uint32_t weakening_all = (1U << 6) - 1;

/// The named token: whoever weakens a policy writes this type's name.
struct weakened_for_tests_only {
  std::uint32_t layers = 0;
};

}  // namespace germline
