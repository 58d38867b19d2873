// control_client: the calls of control.proto with deadlines, and errors that people understand. A
// thin wrapper: it decides nothing. One command owns one; calls may come from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "common/config/config.hpp"
#include "common/result.hpp"
#include "germline/v1/control.grpc.pb.h"

namespace germline::cli {

/// gRPC's own words on standard error are for those who work on gRPC. Call once, at start.
void keep_grpc_quiet();

/// Where a person's own credentials are to be: as set, else beside config.toml. Empty: there is no
/// home.
std::string tls_folder_of(const config& settings);

class control_client {
 public:
  /// For the coordinator of the settings. Nothing is dialled yet; where there are no credentials
  /// for it, or their time is over, each call says so.
  control_client(const config& settings, const clock& time);

  result<v1::GetStatusReply> status(const v1::GetStatusRequest& request);
  /// The id by which create_run names the pack.
  result<std::string> put_seed(const std::string& pack);
  /// `tar`: files for evaluators alone.
  result<v1::HeldOut> put_held_out(const std::string& tar);
  result<v1::CreateRunReply> create_run(const v1::CreateRunRequest& request);
  result<v1::CreateRunReply> replay(const v1::ReplayRequest& request);
  result<v1::ListRunsReply> list_runs(const v1::ListRunsRequest& request);
  result<v1::ListLineagesReply> list_lineages(const v1::ListLineagesRequest& request);
  result<v1::GetTreeReply> get_tree(const v1::GetTreeRequest& request);
  result<v1::ShowReply> show(const v1::ShowRequest& request);
  result<v1::DiffReply> diff(const v1::DiffRequest& request);
  /// The pack; empty where the generation's commit was named as there.
  result<std::string> fetch_generation(const v1::FetchGenerationRequest& request);
  result<v1::KillReply> kill(const v1::KillRequest& request);
  result<v1::LineageReply> pause(const v1::LineageRequest& request);
  result<v1::LineageReply> resume(const v1::LineageRequest& request);
  result<v1::RollbackReply> rollback(const v1::RollbackRequest& request);
  result<v1::LineageReply> fork(const v1::ForkRequest& request);
  result<v1::LineageReply> retire(const v1::LineageRequest& request);
  result<v1::ScaleReply> scale(const v1::ScaleRequest& request);
  result<v1::SetShareReply> set_share(const v1::SetShareRequest& request);
  result<v1::Budgets> budgets(const v1::GetBudgetsRequest& request);
  result<v1::Budgets> set_budget(const v1::SetBudgetRequest& request);
  result<v1::TestPolicyReply> test_policy(const v1::TestPolicyRequest& request);
  result<v1::CordonReply> cordon(const v1::CordonRequest& request);

  /// Calls `on_event` for each until the stream ends, which is success, or fails. `context` lets
  /// another thread cancel; error cancelled is that, or the coordinator's own end.
  result<void> watch(grpc::ClientContext& context, const v1::WatchRequest& request,
                     const std::function<void(const v1::WatchEvent&)>& on_event);

 private:
  template <class Request, class Reply>
  result<Reply> call(grpc::Status (v1::Control::Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Reply*),
                     const Request& request, int limit_s);
  result<void> send_pieces(grpc::ClientWriter<v1::SeedChunk>& writer, const std::string& bytes);
  error error_of(const grpc::Status& status) const;
  error tls_error() const;

  std::string address_;
  std::string folder_;  // of the credentials
  result<void> ready_;  // or why nothing can be dialled
  std::unique_ptr<v1::Control::Stub> stub_;
};

}  // namespace germline::cli
