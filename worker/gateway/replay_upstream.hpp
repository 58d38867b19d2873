// replay_upstream: a recording in a provider's place: what replay answers, it brings as a provider
// would, a stream event by event. What cannot be answered is a 400 in the path's dialect.
// Everything here runs on the io_context's one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
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

  std::unique_ptr<call> send(upstream_request request, upstream_sink& sink) override;
  void forget(const std::string& attempt_id) override { replay_.forget(attempt_id); }

 private:
  class replay_call;

  replay_upstream(boost::asio::io_context& context, replay recorded,
                  std::vector<std::string> secrets)
      : context_(context), replay_(std::move(recorded)), secrets_(std::move(secrets)) {}

  boost::asio::io_context& context_;
  replay replay_;
  std::vector<std::string> secrets_;
};

}  // namespace germline::worker
