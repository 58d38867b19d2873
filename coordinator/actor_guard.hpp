// actor_guard: what every actor of the coordinator installs first: an exception handler that logs,
// since CAF lets an actor with an exception die silently. A coordinator that lost an actor must not
// go on half alive: the process ends, and starts again from its record.
#pragma once

#include <caf/sec.hpp>
#include <cstdlib>
#include <exception>
#include <string>

#include "common/log.hpp"

namespace germline {

template <class Self>
void guard_actor(Self* self) {
  const std::string name = self->name();
  self->set_exception_handler([name](std::exception_ptr& failure) -> caf::error {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& caught) {
      log_error("actor {}: {}", name, caught.what());
    } catch (...) {
      log_error("actor {}: unknown exception", name);
    }
    std::abort();
  });
}

}  // namespace germline
