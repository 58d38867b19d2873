// A coordinator as a process of its own, for crash_test: crash_child STATE_DIR ADDRESS.
#include <cstdio>

#include "coordinator/service.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  germline::coordinator_config config;
  config.state_dir = argv[1];
  config.listen_address = argv[2];
  config.times.lease_ms = 4'000;  // a lease that a crash kept from its worker is waited for
  config.times.guard_ms = 500;
  const auto ended = germline::run_coordinator(config);
  if (!ended) std::fprintf(stderr, "%s\n", ended.error().message().c_str());
  return ended ? *ended : 1;
}
