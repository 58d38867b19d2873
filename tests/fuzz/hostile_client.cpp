#include "tests/fuzz/hostile_client.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "common/clock.hpp"
#include "tests/fuzz/fuzzing.hpp"

namespace germline::tests {

hostile_client::hostile_client(unsigned port, std::string bytes)
    : client_(std::make_unique<raw_client>(port)),
      bytes_(std::move(bytes)),
      asked_(read_requests(bytes_)) {
  for (const auto& one : asked_.whole) heads_.push_back(one.method == "HEAD");
}

void hostile_client::send(random_source& random) {
  const auto most = one_in(3, random) ? 40 : bytes_.size() + 1;
  for (const auto& piece :
       chopped(bytes_, std::max<std::size_t>(most, bytes_.size() / 50), random)) {
    client_->send(piece);
  }
}

void hostile_client::take_answers(const std::function<void(const strict_answer&)>& check,
                                  bool may_break_off) {
  wait_for([&](const strict_answers& got) {
    const auto wanted = asked_.whole.size();
    return got.whole.size() >= wanted || (!got.whole.empty() && got.whole.back().last);
  });
  // What is no whole request is refused at once, or waited for.
  if (asked_.rest && !client_->is_closed()) client_->read_some(2);
  client_->end_sending();
  wait_for([](const strict_answers&) { return false; });
  REQUIRE(client_->is_closed());
  const auto got = read_answers(client_->received(), heads_);
  CAPTURE(bytes_);
  CAPTURE(client_->received());
  REQUIRE(got.wrong == "");
  REQUIRE((!got.rest || asked_.rest ||
           may_break_off));  // only what was begun by the half-closed rest is cut
  for (std::size_t i = 0; i < got.whole.size(); ++i) {
    check(got.whole[i]);
    REQUIRE((!got.whole[i].last || i + 1 == got.whole.size()));
  }
  const bool answered = (got.rest && may_break_off) || got.whole.size() >= asked_.whole.size() ||
                        (!got.whole.empty() && got.whole.back().last);
  REQUIRE(answered);
}

void hostile_client::wait_for(const std::function<bool(const strict_answers&)>& enough) {
  const system_clock_source time;
  const auto began = time.boot_ms();
  while (!client_->is_closed() && !enough(read_answers(client_->received(), heads_))) {
    REQUIRE(time.boot_ms() - began < patience_ms);
    client_->read_some(100);
  }
}

}  // namespace germline::tests
