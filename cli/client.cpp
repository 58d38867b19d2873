#include "cli/client.hpp"

#include <grpc/support/log.h>
#include <grpcpp/support/channel_arguments.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "common/grpc_status.hpp"
#include "common/grpc_tls.hpp"
#include "common/pki/credentials.hpp"
#include "common/pki/discover.hpp"
#include "common/unique_fd.hpp"

namespace germline::cli {
namespace {

constexpr int read_limit_s = 15;
// The coordinator reads the repository and checks the genome before it answers.
constexpr int create_limit_s = 120;
// A history of 256 MiB over a slow line.
constexpr int bulk_limit_s = 1'800;
// Longer than the coordinator waits for the lineage, which may have objects to write.
constexpr int steer_limit_s = 25;
// Longer than the coordinator waits for its proofs. With the last of a run's lineages it may wait
// twice, for them and then for what measures the run's seed: each time kill_wait_s, which is at
// most 50 (common/config), and 8 s for the record. It answers by itself before this, and only its
// answer tells what was killed and with which proof: who hangs up earlier has neither.
constexpr int kill_limit_s = 120;
constexpr std::size_t seed_chunk_bytes = 1 << 20;
constexpr int most_reconnect_ms = 2'000;
constexpr int max_message_bytes = 16 * 1024 * 1024;

/// Whether somebody may listen there, but not for this account: gRPC does not tell.
bool is_forbidden(const std::string& address) {
  constexpr std::string_view scheme = "unix:";
  sockaddr_un at{};
  if (!address.starts_with(scheme) || address.size() - scheme.size() >= sizeof at.sun_path) {
    return false;
  }
  at.sun_family = AF_UNIX;
  address.copy(at.sun_path, sizeof at.sun_path - 1, scheme.size());
  const unique_fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 &&
         (errno == EACCES || errno == EPERM);
}

/// Whether TLS is served at an address that was dialled without.
bool wants_tls(const std::string& address) {
  return !address.starts_with("unix:") && !needs_tls(address) && pki::speaks_tls(address);
}

/// Who is refused in the handshake is not told why.
result<void> check_own_dates(const std::string& address, const std::string& folder,
                             const clock& time) {
  if (!needs_tls(address)) return {};
  GERMLINE_TRY_ASSIGN(const auto own, pki::read_credentials(folder));
  const auto now = time.utc_ms();
  const auto holds = pki::check_dates(own.facts, now);
  if (holds || now <= own.facts.not_after_ms) return holds;
  return error(holds.error().code(),
               holds.error().message() +
                   ". Another one comes with a new token (`germline pki token "
                   "--role person --name " +
                   own.facts.whose.name + "`, beside the coordinator): `germline login --replace`");
}

}  // namespace

void keep_grpc_quiet() {
  gpr_set_log_function([](gpr_log_func_args*) {});
}

std::string tls_folder_of(const config& settings) {
  if (const auto& named = settings.get("tls_dir"); !named.empty()) return named;
  const std::filesystem::path file = config_path(&environment_variable);
  return file.empty() ? "" : (file.parent_path() / "tls").string();
}

control_client::control_client(const config& settings, const clock& time)
    : address_(settings.get("coordinator")) {
  // Where nobody has logged in, that is what is to be said, and not which file is missing.
  folder_ = tls_folder_of(settings);
  std::error_code failed;
  if (settings.get("tls_dir").empty() && !std::filesystem::exists(folder_, failed)) folder_.clear();
  const auto at = endpoint_at(address_, folder_);
  if (!at) {
    ready_ = at.error();
    return;
  }
  ready_ = check_own_dates(address_, folder_, time);
  if (!ready_) return;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(max_message_bytes);
  // One that is started again is to be seen soon: without this the pauses grow to minutes.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, most_reconnect_ms);
  stub_ = v1::Control::NewStub(at->open(arguments));
}

template <class Request, class Reply>
result<Reply> control_client::call(grpc::Status (v1::Control::Stub::*method)(grpc::ClientContext*,
                                                                             const Request&,
                                                                             Reply*),
                                   const Request& request, int limit_s) {
  GERMLINE_TRY(ready_);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_seconds(limit_s, GPR_TIMESPAN));
  Reply reply;
  const auto status = (stub_.get()->*method)(&context, request, &reply);
  if (!status.ok()) return error_of(status);
  return reply;
}

/// Why a coordinator was not reached over TLS. gRPC's own words are no help with certificates.
error control_client::tls_error() const {
  const auto at = without_scheme(address_);
  const auto ca_file = pki::credential_paths(folder_).ca;
  const auto ca = pki::read_file(ca_file);
  const auto there = ca ? pki::check_coordinator(at, *ca) : result<void>(ca.error());
  if (there) {
    return {error_code::unavailable,
            "the coordinator at " + at +
                " closed the connection; where that stays so, it does not believe the certificate "
                "of this account: `germline login " +
                address_ + " --replace`, with a new token, brings another"};
  }
  if (there.error().code() != error_code::permission_denied) {
    return {error_code::unavailable,
            "no coordinator can be reached over TLS: " + there.error().message()};
  }
  // Of whatever coordinator that is, the one of this account's authority is out of reach.
  return {error_code::unavailable,
          there.error().message() + ", which " + ca_file +
              " does not name, so nothing was said to it. If it is the right coordinator, get a "
              "certificate of its authority: `germline pki token --role person --name NAME` there, "
              "and here `germline login " +
              address_ + " --replace --token-file FILE`"};
}

error control_client::error_of(const grpc::Status& status) const {
  const auto code = from_status(status).code();
  if (code == error_code::unavailable && is_forbidden(address_)) {
    return {error_code::permission_denied,
            "this account may not use the coordinator's socket, " + address_ +
                ": it obeys root alone. Try the same command with sudo"};
  }
  if (code == error_code::unavailable && needs_tls(address_)) return tls_error();
  if (code == error_code::unavailable && wants_tls(address_)) {
    return {code, "who answers at " + address_ +
                      " speaks TLS, and was dialled without: say tls:" + address_ +
                      (folder_.empty() ? ", once `germline login tls:" + address_ +
                                             " --token-file FILE` has brought a certificate"
                                       : "")};
  }
  if (code == error_code::unavailable) {
    return {code, "no coordinator can be reached at " + address_ +
                      "; start one with `germline up`, or say where it is with --coordinator or "
                      "GERMLINE_COORDINATOR"};
  }
  if (code == error_code::deadline_exceeded) {
    return {code, "the coordinator at " + address_ + " did not answer in time"};
  }
  return {code,
          status.error_message().empty() ? std::string(to_string(code)) : status.error_message()};
}

result<v1::GetStatusReply> control_client::status(const v1::GetStatusRequest& request) {
  return call(&v1::Control::Stub::GetStatus, request, read_limit_s);
}

result<void> control_client::send_pieces(grpc::ClientWriter<v1::SeedChunk>& writer,
                                         const std::string& bytes) {
  v1::SeedChunk chunk;
  bool open = true;
  for (std::size_t at = 0; open && at < bytes.size(); at += seed_chunk_bytes) {
    chunk.set_data(bytes.substr(at, seed_chunk_bytes));
    open = writer.Write(chunk);
  }
  writer.WritesDone();
  if (const auto status = writer.Finish(); !status.ok()) return error_of(status);
  return {};
}

result<std::string> control_client::put_seed(const std::string& pack) {
  GERMLINE_TRY(ready_);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_seconds(bulk_limit_s, GPR_TIMESPAN));
  v1::PutSeedReply reply;
  GERMLINE_TRY(send_pieces(*stub_->PutSeed(&context, &reply), pack));
  return reply.seed_id();
}

result<v1::HeldOut> control_client::put_held_out(const std::string& tar) {
  GERMLINE_TRY(ready_);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_seconds(bulk_limit_s, GPR_TIMESPAN));
  v1::HeldOut reply;
  GERMLINE_TRY(send_pieces(*stub_->PutHeldOut(&context, &reply), tar));
  return reply;
}

result<std::string> control_client::fetch_generation(const v1::FetchGenerationRequest& request) {
  GERMLINE_TRY(ready_);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_seconds(bulk_limit_s, GPR_TIMESPAN));
  const auto reader = stub_->FetchGeneration(&context, request);
  std::string pack;
  v1::PackChunk piece;
  while (reader->Read(&piece)) pack += piece.data();
  if (const auto status = reader->Finish(); !status.ok()) return error_of(status);
  return pack;
}

result<v1::CreateRunReply> control_client::create_run(const v1::CreateRunRequest& request) {
  return call(&v1::Control::Stub::CreateRun, request, create_limit_s);
}

result<v1::CreateRunReply> control_client::replay(const v1::ReplayRequest& request) {
  return call(&v1::Control::Stub::Replay, request, create_limit_s);
}

result<v1::ListRunsReply> control_client::list_runs(const v1::ListRunsRequest& request) {
  return call(&v1::Control::Stub::ListRuns, request, read_limit_s);
}

result<v1::ListLineagesReply> control_client::list_lineages(
    const v1::ListLineagesRequest& request) {
  return call(&v1::Control::Stub::ListLineages, request, read_limit_s);
}

result<v1::GetTreeReply> control_client::get_tree(const v1::GetTreeRequest& request) {
  return call(&v1::Control::Stub::GetTree, request, read_limit_s);
}

result<v1::ShowReply> control_client::show(const v1::ShowRequest& request) {
  return call(&v1::Control::Stub::Show, request, read_limit_s);
}

result<v1::DiffReply> control_client::diff(const v1::DiffRequest& request) {
  return call(&v1::Control::Stub::Diff, request, read_limit_s);
}

result<v1::KillReply> control_client::kill(const v1::KillRequest& request) {
  return call(&v1::Control::Stub::Kill, request, kill_limit_s);
}

result<v1::LineageReply> control_client::pause(const v1::LineageRequest& request) {
  return call(&v1::Control::Stub::Pause, request, read_limit_s);
}

result<v1::LineageReply> control_client::resume(const v1::LineageRequest& request) {
  return call(&v1::Control::Stub::Resume, request, read_limit_s);
}

result<v1::RollbackReply> control_client::rollback(const v1::RollbackRequest& request) {
  return call(&v1::Control::Stub::Rollback, request, steer_limit_s);
}

result<v1::LineageReply> control_client::fork(const v1::ForkRequest& request) {
  return call(&v1::Control::Stub::Fork, request, steer_limit_s);
}

result<v1::LineageReply> control_client::retire(const v1::LineageRequest& request) {
  return call(&v1::Control::Stub::Retire, request, steer_limit_s);
}

result<v1::ScaleReply> control_client::scale(const v1::ScaleRequest& request) {
  // With or without a kill: it may be of many lineages, each of which is asked.
  return call(&v1::Control::Stub::Scale, request, kill_limit_s);
}

result<v1::SetShareReply> control_client::set_share(const v1::SetShareRequest& request) {
  return call(&v1::Control::Stub::SetShare, request, steer_limit_s);
}

result<v1::Budgets> control_client::budgets(const v1::GetBudgetsRequest& request) {
  return call(&v1::Control::Stub::GetBudgets, request, read_limit_s);
}

result<v1::Budgets> control_client::set_budget(const v1::SetBudgetRequest& request) {
  return call(&v1::Control::Stub::SetBudget, request, steer_limit_s);
}

result<v1::TestPolicyReply> control_client::test_policy(const v1::TestPolicyRequest& request) {
  return call(&v1::Control::Stub::TestPolicy, request, read_limit_s);
}

result<v1::CordonReply> control_client::cordon(const v1::CordonRequest& request) {
  return call(&v1::Control::Stub::Cordon, request, read_limit_s);
}

result<void> control_client::watch(grpc::ClientContext& context, const v1::WatchRequest& request,
                                   const std::function<void(const v1::WatchEvent&)>& on_event) {
  GERMLINE_TRY(ready_);
  const auto reader = stub_->Watch(&context, request);
  v1::WatchEvent event;
  while (reader->Read(&event)) on_event(event);
  const auto status = reader->Finish();
  if (status.ok()) return {};
  return error_of(status);
}

}  // namespace germline::cli
