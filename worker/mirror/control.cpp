#include "worker/mirror/control.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 6> op_names = {"open", "renew",  "close",
                                                      "done", "closed", "refused"};

}  // namespace

std::string_view to_string(mirror_op op) noexcept {
  return op_names[static_cast<std::size_t>(op)];
}

std::string encode(const mirror_message& message) {
  json out = {{"op", to_string(message.op)},
              {"seq", message.seq},
              {"id", message.id},
              {"mirrors", message.mirrors},
              {"deadline_boot_ms", message.deadline_boot_ms},
              {"message", message.message}};
  const auto& limits = message.limits;
  out["limits"] = {{"requests", limits.requests},
                   {"bytes", limits.bytes},
                   {"connections", limits.connections},
                   {"silence_ms", limits.silence_ms},
                   {"connect_ms", limits.connect_ms}};
  const auto& account = message.account;
  out["account"] = {{"requests", account.requests},
                    {"bytes", account.bytes},
                    {"trouble", account.trouble},
                    {"refused", account.refused},
                    {"past_bound", account.past_bound}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<mirror_message> decode_mirror_message(std::string_view packet) {
  try {
    const json in = json::parse(packet);
    mirror_message message;
    const std::string op = in.at("op");
    std::size_t at = 0;
    while (at < op_names.size() && op_names[at] != op) ++at;
    if (at == op_names.size()) {
      return error(error_code::invalid_argument, "control message with unknown '" + op + "'");
    }
    message.op = static_cast<mirror_op>(at);
    message.seq = in.at("seq");
    message.id = in.at("id");
    message.mirrors = in.at("mirrors").get<std::vector<std::string>>();
    message.deadline_boot_ms = in.at("deadline_boot_ms");
    message.message = in.at("message");
    const auto& limits = in.at("limits");
    message.limits = {limits.at("requests"), limits.at("bytes"), limits.at("connections"),
                      limits.at("silence_ms"), limits.at("connect_ms")};
    const auto& account = in.at("account");
    message.account = {account.at("requests"), account.at("bytes"), account.at("trouble"),
                       account.at("refused"), account.at("past_bound")};
    return message;
  } catch (const json::exception&) {
    return error(error_code::invalid_argument, "control message that cannot be read");
  }
}

}  // namespace germline::worker
