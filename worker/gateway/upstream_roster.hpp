// upstream_roster: which upstream a request goes to: of those that speak its dialect and serve its
// model the ones of the lowest priority number, by weight; not one that is full, that asked to wait
// or whose breaker is open. Knows what each was told of, and sends nothing itself.
// One thread. Turns must not outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "worker/gateway/breaker.hpp"
#include "worker/gateway/config.hpp"

namespace germline::worker {

class upstream_roster {
 public:
  /// One request at an upstream. At its end what was not told is unknown.
  class turn {
   public:
    turn(turn&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          index_(other.index_),
          probe_(other.probe_),
          told_(other.told_) {}
    turn& operator=(turn&&) = delete;
    ~turn();
    std::size_t index() const { return index_; }
    /// Once; how it went, as soon as it shows. Why it failed is logged, of the first in a row.
    void tell(breaker_told how, std::string_view why = {});

   private:
    friend class upstream_roster;
    turn(upstream_roster& owner, std::size_t index, bool probe)
        : owner_(&owner), index_(index), probe_(probe) {}
    upstream_roster* owner_;
    std::size_t index_;
    bool probe_;
    bool told_ = false;
  };

  /// All must outlive this.
  upstream_roster(const std::vector<upstream_config>& upstreams, const clock& time,
                  random_source& random);

  /// Whether any speaks the dialect, of those that serve the model.
  bool serves(std::string_view dialect, std::string_view model) const;
  /// Whether any speaks it at all.
  bool speaks(std::string_view dialect) const;
  bool serves(std::string_view model) const;
  /// All that are for this model, whatever they speak.
  std::vector<std::size_t> serving(std::string_view model) const;
  /// All that are for this dialect and model.
  std::vector<std::size_t> serving(std::string_view dialect, std::string_view model) const;
  /// All that are for this model and do not speak `dialect`, but speak `other`, and for which may
  /// be translated.
  std::vector<std::size_t> translating(std::string_view dialect, std::string_view other,
                                       std::string_view model) const;

  struct choice {
    std::optional<std::size_t> index;
    std::int64_t wait_ms = 0;  // without an index: until one might be free
    bool broken = false;       // without an index: none waits for less than an open breaker
  };
  choice choose(std::string_view dialect, std::string_view model,
                const std::set<std::size_t>& but_not);
  /// Among those alone.
  choice choose_among(const std::vector<std::size_t>& upstreams, std::string_view model,
                      const std::set<std::size_t>& but_not);
  /// REQUIRES that choose() just returned it.
  turn take(std::size_t index);
  /// The upstream asked for it, of this model: at most longest_rest_ms.
  void rest(std::size_t index, const std::string& model, std::int64_t for_ms);

 private:
  static constexpr std::int64_t longest_rest_ms = 60'000;
  static constexpr std::int64_t full_wait_ms = 1'000;

  struct member {
    breaker_state breaker;
    bool is_away = false;  // its last request failed, as was logged
    std::int64_t under_way = 0;
    std::map<std::string, std::int64_t, std::less<>> rests_until_ms;  // by model
  };
  /// 0: it may be asked. `broken`: by the breaker.
  std::int64_t wait_of(std::size_t index, std::string_view model, std::int64_t now_ms,
                       bool& broken) const;

  const std::vector<upstream_config>& upstreams_;
  const clock& time_;
  random_source& random_;
  std::vector<member> members_;
};

}  // namespace germline::worker
