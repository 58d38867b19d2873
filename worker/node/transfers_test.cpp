// Transfers over a line that breaks, lies and hangs as the test says.
#include "worker/node/transfers.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "common/hash.hpp"
#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

const error cut(error_code::unavailable, "the connection was cut");

/// Holds one thing, and breaks every connection after so many bytes.
class bad_line final : public transport {
 public:
  result<void> fetch(const fetch_wish&, arrival& so_far, transfer_watch& watch) override {
    ++tries;
    if (on_try) on_try();
    if (failing) return *failing;
    if (so_far.sha256 != sha256_hex(here)) {
      REQUIRE(so_far.bytes.clear());
      so_far.sha256 = sha256_hex(here);
      so_far.size_bytes = static_cast<std::int64_t>(here.size());
    }
    const auto& sent = lies > 0 ? lie : here;
    const auto at = static_cast<std::size_t>(so_far.bytes.size());
    const auto piece = sent.substr(at, cut_after);
    watch.moved_bytes += static_cast<std::int64_t>(piece.size());
    REQUIRE(so_far.bytes.append(piece));
    if (at + piece.size() < here.size()) return cut;
    if (lies > 0) --lies;
    return {};
  }
  result<std::int64_t> put_offset(const put_parcel&, transfer_watch&) override {
    ++asked;
    return static_cast<std::int64_t>(there.size());
  }
  result<std::string> put(const put_parcel& parcel, std::int64_t offset,
                          transfer_watch& watch) override {
    ++tries;
    if (on_try) on_try();
    if (failing) return *failing;
    if (offset > static_cast<std::int64_t>(there.size())) {
      return error(error_code::not_found, "nothing is kept");
    }
    there.resize(static_cast<std::size_t>(offset));
    const auto piece = parcel.bytes.substr(there.size(), cut_after);
    watch.moved_bytes += static_cast<std::int64_t>(piece.size());
    there += piece;
    if (there.size() < parcel.bytes.size()) return cut;
    return sha256_hex(there);
  }

  std::string here = "all that the coordinator has";
  std::string lie = "all that the coordinator HAS";  // as long
  std::string there;
  std::size_t cut_after = 1'000;
  std::optional<error> failing;
  std::function<void()> on_try;
  int lies = 0;  // how often it sends the lie
  int tries = 0;
  int asked = 0;
};

struct fixture {
  result<std::string> fetch() {
    auto into = spool::make(dir.path());
    REQUIRE(into);
    GERMLINE_TRY_ASSIGN(auto came, moves.fetch({}, std::move(*into)));
    GERMLINE_TRY_ASSIGN(const auto bytes, came.bytes.view());
    return std::string(bytes);
  }
  result<std::string> put(const std::string& bytes) {
    return moves.put({"wrk_1", "att_1", 1}, content_kind::pack, bytes);
  }

  tests::temp_dir dir;
  bad_line line;
  manual_clock time;
  seeded_random random{7};
  transfers moves{line, time, random};
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "what is cut off goes on, and no byte comes twice") {
  line.cut_after = 10;
  CHECK(*fetch() == line.here);
  CHECK(line.tries == 3);
  CHECK(moves.fetched_bytes() == static_cast<std::int64_t>(line.here.size()));
  line.tries = 0;
  const std::string mine(35, 'm');
  CHECK(*put(mine) == sha256_hex(mine));
  CHECK(line.tries == 4);
  CHECK(line.asked == 3);
  CHECK(moves.put_bytes() == 35);
}

TEST_CASE_FIXTURE(fixture, "a coordinator that has something else by now begins anew") {
  line.cut_after = 10;
  line.on_try = [&] {
    if (line.tries == 2) line.here = "what it has now is other than before";
  };
  CHECK(*fetch() == line.here);
}

TEST_CASE_FIXTURE(fixture, "what came damaged is fetched once more, and then not again") {
  line.lies = 1;
  CHECK(*fetch() == line.here);
  CHECK(line.tries == 2);
  line.lies = 2;
  const auto damaged = fetch();
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code() == error_code::data_loss);
}

TEST_CASE_FIXTURE(fixture, "a coordinator that forgot what was put gets it from the start") {
  line.cut_after = 10;
  line.on_try = [&] {
    if (line.tries == 3) line.there.clear();
  };
  const std::string mine(25, 'm');
  CHECK(*put(mine) == sha256_hex(mine));
  CHECK(line.there == mine);
}

TEST_CASE_FIXTURE(fixture, "what will not do is not tried again; what never gets on ends") {
  line.failing = error(error_code::failed_precondition, "no longer holds the lease");
  CHECK(fetch().error().code() == error_code::failed_precondition);
  CHECK(put("x").error().message().find("putting objects to the coordinator: no longer") == 0);
  CHECK(line.tries == 2);
  line.failing = cut;
  line.on_try = [&] { time.advance(100'000); };
  const auto futile = put("x");
  REQUIRE_FALSE(futile);
  CHECK(futile.error().message().find("without avail") != std::string::npos);
  CHECK(line.tries == 6);
}

TEST_CASE_FIXTURE(fixture, "a cancelled attempt stops at once, in a pause too") {
  line.failing = cut;
  std::atomic<bool> tried{false};
  line.on_try = [&] { tried = true; };
  std::thread canceller([&] {
    while (!tried) std::this_thread::yield();
    moves.cancel();
  });
  CHECK(fetch().error().code() == error_code::cancelled);
  canceller.join();
  CHECK(put("x").error().code() == error_code::cancelled);
}
