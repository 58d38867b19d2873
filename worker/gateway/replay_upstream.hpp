// replay_upstream: a recording in a provider's place: what replay answers, it brings as a provider
// would, a stream event by event. What cannot be answered is a 400 in the path's dialect.
// Everything here runs on the io_context's one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "worker/gateway/config.hpp"
#include "worker/gateway/replay.hpp"
#include "worker/gateway/upstream.hpp"

namespace germline::worker {

class replay_upstream final : public upstream {
 public:
  /// `secrets` stand in no transcript. `context` must outlive this.
  static result<std::unique_ptr<upstream>> make(boost::asio::io_context& context,
                                                const upstream_config& target,
                                                std::vector<std::string> secrets);
  /// Answers attempts by what others did, whose transcripts lie in `directory`.
  static std::unique_ptr<replay_upstream> of_attempts(boost::asio::io_context& context,
                                                      std::string directory,
                                                      std::vector<std::string> secrets);

  /// What answers this attempt from now on, until it is forgotten. Without a recorded one, or where
  /// that asked nothing, each request is refused. failed_precondition: it is not here, or damaged.
  result<void> begin(const std::string& attempt_id, const std::string& recorded, replay_mode mode);

  std::unique_ptr<call> send(upstream_request request, upstream_sink& sink) override;
  void forget(const std::string& attempt_id) override;

 private:
  class replay_call;

  replay_upstream(boost::asio::io_context& context, std::optional<replay> recorded,
                  std::vector<std::string> secrets)
      : context_(context), shared_(std::move(recorded)), secrets_(std::move(secrets)) {}
  replay* answering(const std::string& attempt_id);

  boost::asio::io_context& context_;
  std::optional<replay> shared_;                      // of all
  std::map<std::string, std::optional<replay>> own_;  // of those that began, by attempt
  std::string directory_;
  std::vector<std::string> secrets_;
};

}  // namespace germline::worker
