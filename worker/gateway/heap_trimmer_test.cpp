#include "worker/gateway/heap_trimmer.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

using namespace germline::worker;

namespace {

struct trimmed_heap {
  /// Holds so many bytes at a time, and then none.
  void hold_and_free(std::int64_t bytes) {
    REQUIRE(pool.take(bytes));
    pool.give_back(bytes);
    trimmer.note_freed();
  }
  /// The handlers that ran until nothing was left to wait for.
  std::size_t turns() {
    context.restart();
    return context.run();
  }

  boost::asio::io_context context{1};
  byte_pool pool{1 << 30};
  bool frees_more = false;
  int trims = 0;
  heap_trimmer trimmer{context, pool, [this] { return frees_more; }, [this] { ++trims; }};
};

}  // namespace

TEST_CASE("requests that come and go one by one leave the heap alone") {
  trimmed_heap heap;
  for (int i = 0; i < 10'000; ++i) heap.hold_and_free(60'000);
  CHECK(heap.turns() == 0);
  CHECK(heap.trims == 0);
}

TEST_CASE("after a large request the heap is trimmed, once, and nothing waits any longer") {
  trimmed_heap heap;
  heap.hold_and_free(30 << 20);
  heap.hold_and_free(30 << 20);
  CHECK(heap.turns() <= 2);
  CHECK(heap.trims == 1);
  CHECK(heap.turns() == 0);
  heap.hold_and_free(heap_trimmer::worth_bytes);
  CHECK(heap.turns() <= 2);
  CHECK(heap.trims == 2);
}

TEST_CASE("what is still held is no reason to trim, what was freed beside it is") {
  trimmed_heap heap;
  REQUIRE(heap.pool.take(20 << 20));
  heap.hold_and_free(10 << 20);
  heap.context.run_for(heap_trimmer::turn * 3);
  CHECK(heap.trims == 1);  // the ten
  heap.context.run_for(heap_trimmer::turn * 2);
  CHECK(heap.trims == 1);
  heap.pool.give_back(20 << 20);
  CHECK(heap.turns() > 0);
  CHECK(heap.trims == 2);
}

TEST_CASE("a thread that is about to free is waited for, but not for ever") {
  trimmed_heap heap;
  heap.frees_more = true;
  heap.hold_and_free(10 << 20);
  heap.context.run_for(heap_trimmer::turn * 3);
  CHECK(heap.trims == 0);
  SUBCASE("it comes to its end") {
    heap.frees_more = false;
  }
  SUBCASE("it goes on") {}
  heap.turns();
  CHECK(heap.trims == 1);
}
