#include "coordinator/dispatch/item_table.hpp"

#include "common/assert.hpp"

namespace germline::dispatch {
namespace {

std::pair<bool, std::uint64_t> place_of(const item_entry& entry) {
  return {!entry.offer.is_evaluation, entry.order()};
}

/// Out of the set that `key` has, which is let go when it is empty.
void remove(std::map<std::string, std::set<std::string>>& sets, const std::string& key,
            const std::string& item) {
  const auto found = sets.find(key);
  if (found == sets.end()) return;
  found->second.erase(item);
  if (found->second.empty()) sets.erase(found);
}

}  // namespace

item_entry* item_table::find(const std::string& item) {
  const auto found = items_.find(item);
  return found == items_.end() ? nullptr : &found->second;
}

item_entry* item_table::by_attempt(const std::string& attempt) {
  const auto found = attempts_.find(attempt);
  return found == attempts_.end() ? nullptr : &items_.at(found->second);
}

std::vector<item_entry*> item_table::of_scope(const std::string& scope) {
  std::vector<item_entry*> out;
  if (const auto its = scopes_.find(scope); its != scopes_.end()) {
    for (const auto& item : its->second) out.push_back(&items_.at(item));
  }
  if (auto* one = find(scope); one != nullptr && one->offer.scope != scope) out.push_back(one);
  return out;
}

std::vector<const item_entry*> item_table::of_scope(const std::string& scope) const {
  std::vector<const item_entry*> out;
  if (const auto its = scopes_.find(scope); its != scopes_.end()) {
    for (const auto& item : its->second) out.push_back(&items_.at(item));
  }
  const auto one = items_.find(scope);
  if (one != items_.end() && one->second.offer.scope != scope) out.push_back(&one->second);
  return out;
}

bool item_table::has_scope(const std::string& scope) const {
  return scopes_.contains(scope) || items_.contains(scope);
}

const std::set<std::string>& item_table::held_by(const std::string& worker) const {
  static const std::set<std::string> none;
  const auto found = held_.find(worker);
  return found == held_.end() ? none : found->second;
}

void item_table::make_ready(std::int64_t now_ms) {
  while (!delayed_.empty() && delayed_.begin()->first <= now_ms) {
    auto& entry = items_.at(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
    queues_[entry.offer.run].emplace(place_of(entry), entry.id());
    entry.is_ready_ = true;
  }
}

item_entry& item_table::add(item_offer offer) {
  const auto id = offer.item.str();
  const auto [at, is_new] = items_.try_emplace(id, std::move(offer));
  GERMLINE_ASSERT(is_new);
  auto& entry = at->second;
  entry.order_ = next_order_++;
  scopes_[entry.offer.scope].insert(id);
  enqueue(entry);
  return entry;
}

void item_table::erase(const item_entry& entry) {
  auto& its = items_.at(entry.id());
  if (its.at_ == phase::queued) dequeue(its);
  forget_attempt(its);
  forget_worker(its);
  remove(scopes_, its.offer.scope, its.id());
  erased_.push_back(its.id());
  items_.erase(erased_.back());
}

void item_table::hold(item_entry& entry, phase at, const std::string& worker) {
  GERMLINE_ASSERT(entry.at_ == phase::queued && at != phase::queued);
  dequeue(entry);
  entry.at_ = at;
  entry.worker_ = worker;
  held_[worker].insert(entry.id());
}

void item_table::move_to(item_entry& entry, phase at) {
  GERMLINE_ASSERT(entry.at_ != phase::queued && at != phase::queued);
  entry.at_ = at;
}

void item_table::name(item_entry& entry, const attempt_id& attempt) {
  forget_attempt(entry);
  entry.attempt_ = attempt;
  attempts_[attempt.str()] = entry.id();
}

void item_table::release(item_entry& entry, std::int64_t not_before_ms) {
  GERMLINE_ASSERT(entry.at_ != phase::queued);
  forget_attempt(entry);
  forget_worker(entry);
  entry.attempt_ = {};
  entry.worker_.clear();
  entry.at_ = phase::queued;
  entry.not_before_ms_ = not_before_ms;
  enqueue(entry);
}

void item_table::enqueue(item_entry& entry) {
  entry.is_ready_ = false;
  delayed_.emplace(entry.not_before_ms_, entry.id());
}

void item_table::dequeue(item_entry& entry) {
  if (!entry.is_ready_) {
    delayed_.erase({entry.not_before_ms_, entry.id()});
    return;
  }
  const auto its = queues_.find(entry.offer.run);
  its->second.erase(place_of(entry));
  if (its->second.empty()) queues_.erase(its);
}

void item_table::forget_attempt(const item_entry& entry) {
  if (!entry.attempt_.empty()) attempts_.erase(entry.attempt_.str());
}

void item_table::forget_worker(const item_entry& entry) {
  if (!entry.worker_.empty()) remove(held_, entry.worker_, entry.id());
}

}  // namespace germline::dispatch
