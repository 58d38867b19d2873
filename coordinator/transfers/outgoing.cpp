#include "coordinator/transfers/outgoing.hpp"

#include <algorithm>
#include <vector>

#include "common/hash.hpp"

namespace germline::transfers {

result<whole_ptr> outgoing::write(const maker& make) const {
  auto made = std::make_shared<whole>();
  GERMLINE_TRY_ASSIGN(made->held, spool::make(directory_));
  sha256 sum;
  GERMLINE_TRY(make([&](std::string_view bytes) -> result<void> {
    sum.update(bytes);
    return made->held.append(bytes);
  }));
  made->sha256 = sum.finish_hex();
  GERMLINE_TRY_ASSIGN(made->bytes, made->held.view());
  return whole_ptr(std::move(made));
}

result<whole_ptr> outgoing::get(const std::string& key, const maker& make) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto [at, fresh] = kept_.try_emplace(key);
    if (fresh) break;
    if (at->second.made) {
      at->second.used_ms = time_.boot_ms();
      return at->second.made;
    }
    changed_.wait(lock);
  }
  lock.unlock();
  auto made = write(make);
  lock.lock();
  if (made) {
    kept_[key] = {*made, time_.boot_ms()};
    trim();
  } else {
    kept_.erase(key);
  }
  changed_.notify_all();
  return made;
}

void outgoing::sweep() {
  const std::lock_guard lock(mutex_);
  const auto now_ms = time_.boot_ms();
  std::erase_if(kept_, [&](const auto& each) {
    return each.second.made && now_ms - each.second.used_ms > bounds_.idle_ms;
  });
}

void outgoing::trim() {
  std::vector<std::pair<std::int64_t, std::string>> by_use;
  for (const auto& [key, each] : kept_) {
    if (each.made) by_use.emplace_back(each.used_ms, key);
  }
  std::ranges::sort(by_use, std::greater());
  std::size_t count = 0;
  std::int64_t bytes = 0;
  for (const auto& [used_ms, key] : by_use) {  // the newest first
    bytes += static_cast<std::int64_t>(kept_.at(key).made->bytes.size());
    if (++count > bounds_.count || bytes > bounds_.bytes) kept_.erase(key);
  }
}

}  // namespace germline::transfers
