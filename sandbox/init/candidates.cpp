#include "sandbox/init/candidates.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <algorithm>

#include "sandbox/protocol.hpp"
#include "sandbox/seqpacket.hpp"

namespace germline::init {
namespace {

using protocol::kind;

bool is_agent(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 1000;
}

void answer(int socket, kind what, std::int64_t status, std::string_view text) {
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(what)).i64(status).text(text);
  (void)send_packet(socket, out.bytes(), {}, 0);  // who does not read gets no answer
}

}  // namespace

void candidate_door::add_sources(std::vector<pollfd>& sources) const {
  if (listener_ < 0) return;
  const bool room = connections_.size() < connections_max;
  sources.push_back({room ? listener_ : -1, POLLIN, 0});
  for (const auto& [id, who] : connections_) sources.push_back({who.socket.get(), POLLIN, 0});
}

void candidate_door::on_ready(const std::vector<pollfd>& sources) {
  const auto ready = [&](int fd) {
    return std::any_of(sources.begin(), sources.end(), [fd](const pollfd& source) {
      return source.fd == fd && source.revents != 0;
    });
  };
  for (auto it = connections_.begin(); it != connections_.end();) {
    const bool keep = !ready(it->second.socket.get()) || serve(it->first, it->second);
    if (!keep) processes_.signal({true, it->first}, SIGKILL);
    it = keep ? std::next(it) : connections_.erase(it);
  }
  if (listener_ >= 0 && ready(listener_)) accept_one();
}

void candidate_door::accept_one() {
  unique_fd socket(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket || !is_agent(socket.get())) return;
  connections_[next_id_++].socket = std::move(socket);
}

bool candidate_door::serve(std::uint32_t id, connection& who) {
  const auto received = receive_packet(who.socket.get(), 0);
  if (!received || received->end || who.started) return false;
  wire::reader in(received->bytes);
  const auto what = static_cast<kind>(in.u8());
  program_spec spec;
  spec.uid = 1001;
  spec.cwd = in.text();
  spec.argv = in.list();
  spec.env = in.list();
  if (what != kind::run || !in.finished() || received->fds.size() != 3) return false;
  for (std::size_t i = 0; i < 3; ++i) spec.fds[i] = received->fds[i].get();
  if (const auto done = processes_.start({true, id}, std::move(spec), seccomp_); !done) {
    answer(who.socket.get(), kind::failed, 0, done.error().message());
    return false;
  }
  who.started = true;
  return true;
}

void candidate_door::on_exit(const process_end& end) {
  const auto found = connections_.find(end.owner.id);
  if (found == connections_.end()) return;
  answer(found->second.socket.get(), kind::exited, end.status, "");
  connections_.erase(found);
}

}  // namespace germline::init
