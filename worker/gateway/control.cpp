#include "worker/gateway/control.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include <sys/socket.h>

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 9> op_names = {
    "open", "renew", "close", "opened", "renewed", "closed", "refused", "event", "usage"};

constexpr std::array<std::string_view, 5> obstacle_names = {"none", "budget", "upstream", "dialect",
                                                            "difference"};

constexpr std::array<std::string_view, 5> limit_names = {"none", "money", "tokens", "requests",
                                                         "own"};

template <typename Kind, std::size_t N>
result<Kind> kind_from(const std::array<std::string_view, N>& names, const std::string& name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Kind>(i);
  }
  return error(error_code::invalid_argument, "control message with unknown '" + name + "'");
}

json to_json(const gateway_usage& usage) {
  return {{"requests", usage.requests},
          {"input_tokens", usage.input_tokens},
          {"output_tokens", usage.output_tokens},
          {"cache_write_tokens", usage.cache_write_tokens},
          {"cache_read_tokens", usage.cache_read_tokens},
          {"cost_nanousd", usage.cost_nanousd},
          {"charged_by_bound", usage.charged_by_bound}};
}

gateway_usage usage_from(const json& from) {
  gateway_usage usage;
  usage.requests = from.at("requests");
  usage.input_tokens = from.at("input_tokens");
  usage.output_tokens = from.at("output_tokens");
  usage.cache_write_tokens = from.at("cache_write_tokens");
  usage.cache_read_tokens = from.at("cache_read_tokens");
  usage.cost_nanousd = from.at("cost_nanousd");
  usage.charged_by_bound = from.at("charged_by_bound");
  return usage;
}

json to_json(const gateway_limits& limits) {
  return {{"max_requests", limits.max_requests},
          {"max_requests_per_minute", limits.max_requests_per_minute},
          {"max_input_tokens", limits.max_input_tokens},
          {"max_output_tokens", limits.max_output_tokens},
          {"max_tokens", limits.max_tokens},
          {"budget_nanousd", limits.budget_nanousd}};
}

gateway_limits limits_from(const json& from) {
  gateway_limits limits;
  limits.max_requests = from.at("max_requests");
  limits.max_requests_per_minute = from.at("max_requests_per_minute");
  limits.max_input_tokens = from.at("max_input_tokens");
  limits.max_output_tokens = from.at("max_output_tokens");
  limits.max_tokens = from.at("max_tokens");
  limits.budget_nanousd = from.at("budget_nanousd");
  return limits;
}

error system_error(std::string_view what) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return {error_code::unavailable, std::string(what) + ": would block"};
  }
  return errno_error(what, errno);
}

}  // namespace

std::string_view to_string(control_op op) noexcept {
  return op_names[static_cast<std::size_t>(op)];
}

std::string_view to_string(obstacle_kind kind) noexcept {
  return obstacle_names[static_cast<std::size_t>(kind)];
}

std::string encode(const control_message& message) {
  json out = {
      {"op", to_string(message.op)}, {"seq", message.seq}, {"attempt_id", message.attempt_id}};
  switch (message.op) {
    case control_op::open:
      out["token"] = message.token;
      out["open_to_anyone"] = message.open_to_anyone;
      out["model"] = message.model;
      out["deadline_boot_ms"] = message.deadline_boot_ms;
      out["limits"] = to_json(message.limits);
      if (message.replay) {
        out["replay"] = {{"of", message.replay->of}, {"strict", message.replay->is_strict}};
      }
      break;
    case control_op::renew:
      out["deadline_boot_ms"] = message.deadline_boot_ms;
      break;
    case control_op::closed:
      out["usage"] = to_json(message.usage);
      out["obstacle"] = to_string(message.obstacle.kind);
      out["message"] = message.obstacle.why;
      out["limit"] = limit_names[static_cast<std::size_t>(message.obstacle.limit)];
      out["refused"] = message.refused;
      break;
    case control_op::usage:
      out["usage"] = to_json(message.usage);
      out["message"] = message.message;
      break;
    case control_op::event:
      out["event"] = message.event_json;
      break;
    case control_op::refused:
      out["message"] = message.message;
      out["lasting"] = message.lasting;
      break;
    default:
      break;
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<control_message> decode(std::string_view packet) {
  try {
    const json in = json::parse(packet);
    control_message message;
    GERMLINE_TRY_ASSIGN(message.op, kind_from<control_op>(op_names, in.at("op")));
    message.seq = in.at("seq");
    message.attempt_id = in.at("attempt_id");
    if (message.op == control_op::open) {
      message.token = in.at("token");
      message.open_to_anyone = in.at("open_to_anyone");
      message.model = in.at("model");
      message.limits = limits_from(in.at("limits"));
      if (in.contains("replay")) {
        const auto& replay = in.at("replay");
        message.replay = replay_wish{replay.at("of"), replay.at("strict")};
      }
    }
    if (message.op == control_op::open || message.op == control_op::renew) {
      message.deadline_boot_ms = in.at("deadline_boot_ms");
    }
    if (message.op == control_op::closed || message.op == control_op::usage) {
      message.usage = usage_from(in.at("usage"));
    }
    if (message.op == control_op::closed) {
      auto& obstacle = message.obstacle;
      GERMLINE_TRY_ASSIGN(obstacle.kind,
                          kind_from<obstacle_kind>(obstacle_names, in.at("obstacle")));
      obstacle.why = in.at("message");
      GERMLINE_TRY_ASSIGN(obstacle.limit, kind_from<spent_limit>(limit_names, in.at("limit")));
      message.refused = in.at("refused");
    }
    if (message.op == control_op::event) message.event_json = in.at("event");
    if (message.op == control_op::usage) message.message = in.at("message");
    if (message.op == control_op::refused) {
      message.message = in.at("message");
      message.lasting = in.at("lasting");
    }
    return message;
  } catch (const json::exception&) {  // its text may quote the packet, and a token with it
    return error(error_code::invalid_argument, "control message that cannot be read");
  }
}

result<void> send_packet(int socket, std::string_view packet, int fd) {
  if (packet.size() > max_control_bytes) {
    return error(error_code::resource_exhausted, "control message is too long");
  }
  iovec part{const_cast<char*>(packet.data()), packet.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  if (fd >= 0) {
    header.msg_control = space.data();
    header.msg_controllen = space.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL) >= 0) return {};
    if (errno != EINTR) return system_error("sending to the control socket");
  }
}

result<received_packet> receive_packet(int socket) {
  received_packet packet;
  packet.bytes.resize(max_control_bytes);
  iovec part{packet.bytes.data(), packet.bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(4 * sizeof(int))> space{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = space.data();
  header.msg_controllen = space.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return system_error("receiving from the control socket");
  bool several = false;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof fd, sizeof fd);
      several = several || packet.fd;
      packet.fd.reset(fd);
    }
  }
  if (several || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return error(error_code::invalid_argument, "control packet past its bounds");
  }
  packet.bytes.resize(static_cast<std::size_t>(got));
  return packet;
}

}  // namespace germline::worker
