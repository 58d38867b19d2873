#include "coordinator/api/session.hpp"

#include <algorithm>

#include "common/text/tags.hpp"
#include "coordinator/actor_guard.hpp"

namespace germline {
namespace {

constexpr std::size_t max_worker_id_bytes = 128;
constexpr std::size_t max_place_bytes = 128;
constexpr int max_slots = 1'024;
constexpr int max_named_attempts = 4'096;

bool is_plain(const std::string& id) {
  return !id.empty() && id.size() <= max_worker_id_bytes &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

/// Why a first message is not taken; empty: it is.
std::string refuse_hello(const v1::WorkerMessage& message) {
  if (!message.has_hello()) return "the first message must be Hello";
  const auto& hello = message.hello();
  if (!is_plain(hello.worker_id())) return "worker_id must be 1 to 128 printable characters";
  if (hello.slots() < 1 || hello.slots() > max_slots) return "slots must be 1 to 1024";
  const auto tags = checked_tags({hello.tags().begin(), hello.tags().end()});
  if (!tags) return tags.error().message();
  if (!hello.place().empty() &&
      (!is_plain(hello.place()) || hello.place().size() > max_place_bytes)) {
    return "place must be at most 128 printable characters";
  }
  if (hello.running_attempts_size() > max_named_attempts) return "too many running attempts";
  return {};
}

}  // namespace

session_actor::behavior_type session_behavior(
    session_actor::stateful_pointer<session_actor_state> self, worker_link_ptr link,
    dispatcher_actor dispatcher) {
  guard_actor(self);
  return {
      [self, link, dispatcher](const worker_message_ptr& message) {
        auto& worker = self->state.worker;
        if (worker.empty()) {
          const std::string why = refuse_hello(*message);
          if (!why.empty()) return link->close(why);
          worker = message->hello().worker_id();
        } else if (message->has_hello()) {
          return link->close("Hello came twice");
        }
        self->send(dispatcher, message, link, worker);
      },
      [self, link, dispatcher](left_atom) {
        if (!self->state.worker.empty()) {
          self->send(dispatcher, left_atom_v, link, self->state.worker);
        }
        self->quit();
      },
  };
}

}  // namespace germline
