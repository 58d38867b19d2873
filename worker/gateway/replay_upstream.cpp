#include "worker/gateway/replay_upstream.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <utility>
#include <variant>

#include "worker/gateway/dialect.hpp"
#include "worker/gateway/replay_answer.hpp"
#include "worker/gateway/transcript.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t longest_piece_bytes = 64 * 1024;

}  // namespace

/// One answer on its way, step by step, each from the io_context.
class replay_upstream::replay_call final : public upstream::call {
 public:
  replay_call(boost::asio::io_context& context, replay_answer given, upstream_sink& sink)
      : context_(context), given_(std::move(given)), sink_(sink) {
    next();
  }
  replay_call(const replay_call&) = delete;
  replay_call& operator=(const replay_call&) = delete;

  void resume() override {
    if (std::exchange(paused_, false)) next();
  }

 private:
  void next() {
    boost::asio::post(context_, [this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) step();
    });
  }

  void step() {
    if (!std::exchange(began_, true)) {
      upstream_head head;
      head.status = given_.status;
      head.is_recorded = true;
      head.bill = given_.bill;
      head.difference = given_.difference;
      head.headers = {{"content-type", given_.streams ? "text/event-stream" : "application/json"},
                      {"x-germline-replay", "1"}};
      sink_.on_head(std::move(head));
    } else if (done_ < given_.body.size()) {
      const auto piece = next_piece();
      paused_ = !sink_.on_data(piece);
      if (paused_) return;
      done_ += piece.size();
    } else {
      return sink_.on_end(given_.cut ? upstream_end::cut : upstream_end::complete,
                          given_.cut ? "only its beginning was recorded" : "");
    }
    next();
  }

  /// Of a stream one event.
  std::string_view next_piece() const {
    const auto rest = std::string_view(given_.body).substr(done_, longest_piece_bytes);
    const auto end = given_.streams ? rest.find("\n\n") : rest.npos;
    return end == rest.npos ? rest : rest.substr(0, end + 2);
  }

  boost::asio::io_context& context_;
  const replay_answer given_;
  upstream_sink& sink_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>();
  std::size_t done_ = 0;
  bool began_ = false;
  bool paused_ = false;
};

result<std::unique_ptr<upstream>> replay_upstream::make(boost::asio::io_context& context,
                                                        const upstream_config& target,
                                                        std::vector<std::string> secrets) {
  auto recorded = replay::open(
      target.replay, target.replay_is_strict ? replay_mode::strict : replay_mode::lenient);
  if (!recorded) return recorded.error().within("the replay '" + target.name + "'");
  return std::unique_ptr<upstream>(
      new replay_upstream(context, std::move(*recorded), std::move(secrets)));
}

std::unique_ptr<replay_upstream> replay_upstream::of_attempts(boost::asio::io_context& context,
                                                              std::string directory,
                                                              std::vector<std::string> secrets) {
  auto made = std::unique_ptr<replay_upstream>(
      new replay_upstream(context, std::nullopt, std::move(secrets)));
  made->directory_ = std::move(directory);
  return made;
}

result<void> replay_upstream::begin(const std::string& attempt_id, const std::string& recorded,
                                    replay_mode mode) {
  if (recorded.empty()) {
    own_[attempt_id] = std::nullopt;
    return {};
  }
  const auto path = directory_ + "/" + recorded + ".jsonl";
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) {
    return error(error_code::failed_precondition, "this worker has no transcript of " + recorded +
                                                      ", which is to be done again (" + path +
                                                      "): it lies with the worker that ran it");
  }
  auto opened = replay::open(path, mode);
  if (!opened && opened.error().code() != error_code::not_found) {
    return error(error_code::failed_precondition,
                 "the transcript of " + recorded + " cannot be read: " + opened.error().message());
  }
  auto& own = own_[attempt_id];
  own.reset();
  if (opened) own.emplace(std::move(*opened));
  return {};
}

std::unique_ptr<upstream::call> replay_upstream::send(upstream_request request,
                                                      upstream_sink& sink) {
  auto secrets = secrets_;
  if (!request.token.empty()) secrets.push_back(request.token);
  const auto text = redacted(*request.body, secrets);
  const char* none = "of the attempt that is done again no request was recorded";
  std::variant<recorded_exchange, replay_refusal> said = replay_refusal{none, none};
  if (auto* from = answering(request.attempt_id)) {
    said = from->answer({request.attempt_id, request.path, text});
  }
  return std::make_unique<replay_call>(context_, answer_of(std::move(said), request.path), sink);
}

replay* replay_upstream::answering(const std::string& attempt_id) {
  const auto own = own_.find(attempt_id);
  auto& found = own == own_.end() ? shared_ : own->second;
  return found ? &*found : nullptr;
}

void replay_upstream::forget(const std::string& attempt_id) {
  if (shared_) shared_->forget(attempt_id);
  own_.erase(attempt_id);
}

}  // namespace germline::worker
