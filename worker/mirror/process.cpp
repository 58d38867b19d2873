#include "worker/mirror/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "common/log.hpp"
#include "worker/gateway/control.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t doors_max = 64;
constexpr int look_every_ms = 200;        // at deadlines
constexpr int look_while_closing_ms = 5;  // whether connections are gone

bool is_plain_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == text.npos;
}

bool is_listening(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value == 1;
}

}  // namespace

void mirror_process::serve() {
  while (serve_once()) {
  }
  log_info("stopping: the control socket ended");
  for (const auto& [id, one] : doors_) one->cut();
}

bool mirror_process::serve_once() {
  std::vector<pollfd> watched{{control_.get(), POLLIN, 0}};
  std::vector<std::shared_ptr<door>> listening;
  for (const auto& [id, one] : doors_) {
    if (!one->alive()) {
      one->cut();  // its deadline has passed
      continue;
    }
    watched.push_back({one->listener(), POLLIN, 0});
    listening.push_back(one);
  }
  ::poll(watched.data(), watched.size(), closing_.empty() ? look_every_ms : look_while_closing_ms);
  for (std::size_t i = 0; i < listening.size(); ++i) {
    if (watched[i + 1].revents != 0) listening[i]->accept_waiting();
  }
  answer_closed();
  if (watched[0].revents == 0) return true;
  auto packet = receive_packet(control_.get());
  if (!packet || packet->bytes.empty()) return false;
  const auto asked = decode_mirror_message(packet->bytes);
  if (!asked) return false;
  if (asked->op == mirror_op::close) {
    const auto found = doors_.find(asked->id);
    if (found != doors_.end()) {
      found->second->cut();
      closing_.push_back({asked->seq, found->second});
      doors_.erase(found);
      return true;
    }
  }
  auto answer = handle(*asked, std::move(packet->fd));
  answer.seq = asked->seq;
  answer.id = asked->id;
  return bool(send_packet(control_.get(), encode(answer)));
}

void mirror_process::answer_closed() {
  std::erase_if(closing_, [this](const closing& one) {
    if (!one.which->is_over()) return false;
    mirror_message answer;
    answer.op = mirror_op::closed;
    answer.seq = one.seq;
    answer.id = one.which->settings().id;
    answer.account = one.which->account();
    log_info("{}: closed after {} requests, {} bytes", answer.id, answer.account.requests,
             answer.account.bytes);
    (void)send_packet(control_.get(), encode(answer));
    return true;
  });
}

mirror_message mirror_process::handle(const mirror_message& asked, unique_fd fd) {
  mirror_message answer;
  answer.op = mirror_op::refused;
  if (asked.op == mirror_op::open) {
    const auto opened = open(asked, std::move(fd));
    if (opened) {
      answer.op = mirror_op::done;
    } else {
      answer.message = opened.error().message();
    }
    return answer;
  }
  const auto found = doors_.find(asked.id);
  if (found == doors_.end()) {
    answer.message = "there is no such fetch";
  } else if (asked.op != mirror_op::renew) {
    answer.message = "only open, renew and close are asked for";
  } else if (!found->second->renew(asked.deadline_boot_ms)) {
    answer.message = "its deadline has passed";
  } else {
    answer.op = mirror_op::done;
  }
  return answer;
}

result<void> mirror_process::open(const mirror_message& asked, unique_fd fd) {
  const auto bad = [](const std::string& why) { return error(error_code::invalid_argument, why); };
  if (!is_plain_id(asked.id)) return bad("the fetch's id is no plain name");
  if (doors_.contains(asked.id)) return bad("the fetch is open already");
  if (doors_.size() >= doors_max) return bad("too many fetches are open");
  const auto& limits = asked.limits;
  if (limits.requests < 1 || limits.bytes < 1 || limits.connections < 1 || limits.silence_ms < 1 ||
      limits.connect_ms < 1) {
    return bad("every limit must be at least 1");
  }
  for (const auto& name : asked.mirrors) {
    if (routes_.mirror(name) == nullptr) return bad("there is no mirror '" + name + "'");
  }
  if (!is_listening(fd.get())) return bad("the descriptor is no listening socket");
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error("O_NONBLOCK", errno);
  doors_.emplace(asked.id, std::make_shared<door>(door_settings{asked.id, asked.mirrors, limits,
                                                                asked.deadline_boot_ms},
                                                  routes_, time_, std::move(fd)));
  log_info("{}: open", asked.id);
  return {};
}

}  // namespace germline::worker
