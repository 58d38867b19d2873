#include "coordinator/dispatch/item_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/clock.hpp"
#include "common/random.hpp"

using namespace germline;
using namespace germline::dispatch;

namespace {

/// An item table, changed at random, beside what one looks up by going through all of it.
struct walk {
  explicit walk(std::uint64_t random_seed) : random(random_seed) {}

  item_entry* any() {
    if (table.empty()) return nullptr;
    auto at = table.begin();
    std::advance(at, static_cast<long>(random.below(static_cast<std::uint64_t>(count()))));
    return table.find(at->first);
  }
  long count() const { return std::distance(table.begin(), table.end()); }

  void step() {
    auto* one = any();
    const auto later_ms = now_ms + static_cast<std::int64_t>(random.below(50));
    switch (random.below(8)) {
      case 0:
      case 1: {
        item_offer offer{
            item_id::make(time, random), "lin_" + std::to_string(random.below(4)), 0, 0, {}};
        offer.run = "run_" + std::to_string(random.below(3));
        offer.is_evaluation = random.below(2) == 0;
        table.add(std::move(offer));
        break;
      }
      case 2:
        now_ms += static_cast<std::int64_t>(random.below(20));
        table.make_ready(now_ms);
        ready_ms = now_ms;
        break;
      case 3:
        if (one == nullptr || one->at() != phase::queued) break;
        table.hold(*one, phase::granting, "w" + std::to_string(random.below(3)));
        break;
      case 4:
        if (one == nullptr || one->at() != phase::granting) break;
        table.move_to(*one, phase::leased);
        table.name(*one, attempt_id::make(time, random));
        break;
      case 5:
        if (one != nullptr && one->at() != phase::queued) table.release(*one, later_ms);
        break;
      case 6:
        if (one != nullptr && random.below(3) == 0) {
          gone.insert(one->id());
          table.erase(*one);
        }
        break;
      default:
        break;
    }
  }

  void check() {
    std::map<std::string, std::vector<const item_entry*>> waiting;
    std::size_t held = 0;
    for (const auto& [id, entry] : table) {
      const bool is_held = entry.at() != phase::queued;
      held += is_held ? 1 : 0;
      CHECK(table.held_by(entry.worker()).contains(id) == is_held);
      if (!entry.attempt().empty()) CHECK(table.by_attempt(entry.attempt().str()) == &entry);
      const auto its = table.of_scope(entry.offer.scope);
      CHECK(std::ranges::find(its, &entry) != its.end());
      CHECK(table.of_scope(id) == std::vector{table.find(id)});
      // What became ready stays so; what may be leased since the last look is not yet.
      if (!is_held && entry.not_before_ms() < ready_ms) waiting[entry.offer.run].push_back(&entry);
    }
    std::size_t held_by_all = 0;
    for (const auto& [worker, items] : table.held()) held_by_all += items.size();
    CHECK(held_by_all == held);
    CHECK(table.queues().size() == waiting.size());
    for (auto& [run, entries] : waiting) {
      std::ranges::sort(entries, [](const auto* a, const auto* b) {
        if (a->offer.is_evaluation != b->offer.is_evaluation) return a->offer.is_evaluation;
        return a->order() < b->order();
      });
      std::vector<std::string> queued;
      for (const auto& [place, id] : table.queues().at(run)) queued.push_back(id);
      std::vector<std::string> wanted;
      for (const auto* entry : entries) wanted.push_back(entry->id());
      CHECK(queued == wanted);
    }
  }

  manual_clock time;
  seeded_random random;
  item_table table;
  std::int64_t now_ms = 1, ready_ms = 0;
  std::set<std::string> gone;
};

}  // namespace

TEST_CASE("an item table finds what one finds by going through all of it") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    walk w(seed);
    for (int i = 0; i < 400; ++i) {
      w.step();
      w.now_ms += 1;
      w.table.make_ready(w.now_ms);
      w.ready_ms = w.now_ms + 1;
      w.check();
    }
    const auto erased = w.table.take_erased();
    CHECK(std::set(erased.begin(), erased.end()) == w.gone);
    CHECK(w.table.take_erased().empty());
  }
}

TEST_CASE("an item that waits for its time is not in its run's queue before") {
  manual_clock time;
  seeded_random random(1);
  item_table table;
  item_offer offer{item_id::make(time, random), "lin_1", 0, 0, {}};
  offer.run = "run_1";
  auto& entry = table.add(offer);
  CHECK(table.queues().empty());
  table.make_ready(10);
  CHECK(table.queues().at("run_1").size() == 1);
  table.hold(entry, phase::granting, "w1");
  CHECK(table.queues().empty());
  table.release(entry, 20);
  table.make_ready(19);
  CHECK(table.queues().empty());
  table.make_ready(20);
  CHECK(table.queues().at("run_1").begin()->second == entry.id());
  CHECK(table.held_by("w1").empty());
}

TEST_CASE("a scope is there while an item of it is, or an item of that name") {
  manual_clock time;
  seeded_random random(1);
  item_table table;
  auto& entry = table.add({item_id::make(time, random), "lin_1", 0, 0, {}});
  const auto id = entry.id();
  CHECK(table.has_scope("lin_1"));
  CHECK(table.has_scope(id));
  CHECK_FALSE(table.has_scope("lin_2"));
  table.erase(entry);
  CHECK_FALSE(table.has_scope("lin_1"));
  CHECK_FALSE(table.has_scope(id));
}
