#include "sandbox/zygote_link.hpp"

#include <sys/socket.h>

#include "sandbox/protocol.hpp"
#include "sandbox/wire.hpp"

namespace germline {
namespace {

using protocol::kind;
constexpr int answer_timeout_ms = 60'000;

error zygote_gone() {
  return {error_code::unavailable, "the zygote is gone; its stderr says why"};
}

}  // namespace

result<packet> zygote_link::ask(const std::string& request) {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(send_packet(socket_.get(), request));
  auto answer = receive_packet(socket_.get(), answer_timeout_ms);
  if (!answer) {
    // An answer that comes later would be taken for that of the next request.
    ::shutdown(socket_.get(), SHUT_RDWR);
    return answer.error().within("waiting for the zygote");
  }
  if (answer->end) return zygote_gone();
  wire::reader in(answer->bytes);
  if (static_cast<kind>(in.u8()) == kind::failed) {
    in.u32();
    const auto code = static_cast<error_code>(in.u8());
    return error(code, in.text());
  }
  return answer;
}

result<void> zygote_link::end_sandbox(const std::string& name) {
  wire::writer out;
  out.u8(static_cast<std::uint8_t>(kind::end)).text(name);
  GERMLINE_TRY(ask(out.bytes()));
  return {};
}

void zygote_link::close() {
  ::shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace germline
