#include "worker/node/node_actor.hpp"

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/spawn_options.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <chrono>
#include <utility>

#include "common/log.hpp"

namespace germline::worker {
namespace {

using node_pointer = node_actor::stateful_pointer<node_actor_state>;

iteration_actor::behavior_type iteration_behavior(iteration_actor::pointer self,
                                                  std::shared_ptr<running_attempt> attempt,
                                                  node_actor node) {
  return {[self, attempt = std::move(attempt), node = std::move(node)](begin_atom) {
    self->send(node, attempt_end_ptr(std::make_shared<const attempt_end>(attempt->run())));
    self->quit();
  }};
}

keeper_actor::behavior_type keeper_behavior(keeper_actor::pointer,
                                            std::shared_ptr<running_attempt> attempt) {
  return {[attempt](renew_atom, std::int64_t until_boot_ms) { attempt->renew(until_boot_ms); },
          [attempt](cancel_atom, const std::string& why) { attempt->cancel(why); }};
}

void start(node_pointer self, const node_actor_config& config, const start_attempt& effect) {
  const auto id = effect.lease.attempt_id();
  node_actor node = self;
  auto progress = [node](v1::AttemptProgress update) {
    caf::anon_send(
        node, attempt_progress_ptr(std::make_shared<const v1::AttemptProgress>(std::move(update))));
  };
  auto attempt = config.make_attempt(effect.lease, effect.lease_until_boot_ms, progress);
  self->state.running[id] = self->spawn<caf::detached>(keeper_behavior, attempt);
  const auto worker = self->spawn<caf::detached>(iteration_behavior, std::move(attempt), node);
  self->send(worker, begin_atom_v);
}

void carry_out(node_pointer self, const node_actor_config& config, const node_effects& effects) {
  for (const auto& effect : effects) {
    if (const auto* begin = std::get_if<start_attempt>(&effect)) {
      start(self, config, *begin);
    } else if (const auto* renew = std::get_if<renew_attempt>(&effect)) {
      if (const auto found = self->state.running.find(renew->attempt_id);
          found != self->state.running.end()) {
        self->send(found->second, renew_atom_v, renew->lease_until_boot_ms);
      }
    } else if (const auto* cancel = std::get_if<cancel_attempt>(&effect)) {
      if (const auto found = self->state.running.find(cancel->attempt_id);
          found != self->state.running.end()) {
        self->send(found->second, cancel_atom_v, cancel->why);
      }
    } else if (const auto* send = std::get_if<send_message>(&effect)) {
      config.send(send->message);
    }
  }
}

void quit_when_empty(node_pointer self) {
  if (self->state.stopping && self->state.running.empty()) self->quit();
}

}  // namespace

node_actor::behavior_type node_behavior(node_pointer self, node_actor_config config) {
  self->state.decisions = std::make_unique<node_state>(config.self);
  self->set_exception_handler([](std::exception_ptr failure) -> caf::error {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& what) {
      log_error("node actor ended by an exception: {}", what.what());
    }
    return caf::exit_reason::unhandled_exception;
  });
  const auto apply = [self, config](const node_effects& effects) {
    carry_out(self, config, effects);
  };
  const auto tick_after = [self] {
    self->delayed_send(self, std::chrono::milliseconds(self->state.decisions->heartbeat_ms()),
                       tick_atom_v);
  };
  tick_after();
  return {
      [=](connected_atom) {
        apply(self->state.decisions->on_connected(config.time->boot_ms(), config.trouble()));
      },
      [=](broken_atom) {
        if (std::exchange(self->state.joined, false)) {
          log_warning("lost the coordinator; running attempts go on under their leases");
        }
        self->state.decisions->on_disconnected();
      },
      [=](const coordinator_message_ptr& message) {
        if (message->has_welcome()) {
          self->state.joined = true;
          log_info("joined the coordinator");
        }
        apply(self->state.decisions->on_message(*message));
      },
      [=](tick_atom) {
        apply(self->state.decisions->on_tick(config.time->boot_ms(), config.trouble()));
        tick_after();
      },
      [=](const attempt_progress_ptr& progress) {
        apply(self->state.decisions->on_progress(*progress));
      },
      [=](const late_accounts_ptr& told) { apply(self->state.decisions->on_accounts(*told)); },
      [=](const attempt_end_ptr& end) {
        const auto id = std::visit([](const auto& known) { return known.attempt_id(); }, *end);
        if (const auto keeper = self->state.running.extract(id)) {
          self->send_exit(keeper.mapped(), caf::exit_reason::user_shutdown);
        }
        if (const auto* judged = std::get_if<v1::AttemptResult>(end.get())) {
          apply(self->state.decisions->on_finished(*judged));
        } else {
          apply(self->state.decisions->on_cleaned(std::get<v1::AttemptCleaned>(*end)));
        }
        quit_when_empty(self);
      },
      [=](stop_atom) {
        self->state.stopping = true;
        apply(self->state.decisions->on_stop());
        quit_when_empty(self);
      },
  };
}

}  // namespace germline::worker
