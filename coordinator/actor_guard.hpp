// actor_guard: what every actor of the coordinator installs first: an exception handler that logs,
// since CAF lets an actor with an exception die silently. A coordinator that lost an actor must not
// go on half alive: the process ends, and starts again from its record.
#pragma once

#include <caf/sec.hpp>
#include <cstdlib>
#include <exception>
#include <spdlog/spdlog.h>
#include <string>

namespace germline {

template <class Self>
void guard_actor(Self* self) {
  const std::string name = self->name();
  self->set_exception_handler([name](std::exception_ptr& failure) -> caf::error {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& caught) {
      spdlog::critical("actor {}: {}", name, caught.what());
    } catch (...) {
      spdlog::critical("actor {}: unknown exception", name);
    }
    spdlog::default_logger()->flush();
    std::abort();
  });
}

}  // namespace germline
