// actor_guard: what every actor of the coordinator installs first: handlers that log exceptions,
// and errors that answer a message for which nobody waits, since CAF lets an actor die of either
// silently. A coordinator that lost an actor, or whose record lacks what it went on from, must not
// go on half alive: the process ends, and starts again from its record.
#pragma once

#include <caf/sec.hpp>
#include <cstdlib>
#include <exception>
#include <string>

#include "common/log.hpp"
#include "coordinator/caf_error.hpp"

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
  self->set_error_handler([self, name](caf::error& failure) {
    if (failure.category() != caf::atom("germline")) {  // of CAF itself: the system is ending
      self->quit(failure);
      return;
    }
    log_error("actor {}: {}; the coordinator ends, and goes on from its record", name,
              from_caf(failure).message());
    std::_Exit(1);
  });
}

}  // namespace germline
