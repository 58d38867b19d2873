// The strategies by name; strategy.cpp has the table. Each function says what `options` it takes;
// one that it does not know is an error. Internal to coordinator/evolution.
#pragma once

#include <utility>

#include "coordinator/evolution/strategy.hpp"

namespace germline::evolution {

using options = std::map<std::string, std::string>;
using maker = std::function<std::unique_ptr<selector>()>;

inline error invalid(std::string why) {
  return {error_code::invalid_argument, std::move(why)};
}

/// Each is given the options that were said, and puts in those that were not.
result<maker> make_archive_sampling(options& given);
result<maker> make_best(options& given);
result<maker> make_clade_thompson(options& given);
result<maker> make_islands(options& given);
result<maker> make_pareto(options& given);
result<maker> make_random(options& given);
result<maker> make_seed(options& given);

/// The option's value, from least to most; `usual` where it was not said. Errors name the option.
result<double> number_option(options& given, const std::string& key, std::string_view usual,
                             double least, double most);
/// As above, a whole number.
result<int> count_option(options& given, const std::string& key, int usual, int least, int most);

/// Of what several evaluations told of one thing.
struct running_mean {
  double value = 0;
  int count = 0;

  void add(double more) {
    ++count;
    value += (more - value) / count;
  }
};

/// Of a strategy that keeps nothing: `choose` is called with archive and chance.
template <class Choose>
maker stateless(Choose choose) {
  class of_archive final : public selector {
   public:
    explicit of_archive(Choose choose) : choose_(std::move(choose)) {}
    choice choose(const archive& of, int /*lineage*/, random_source& chance) const override {
      return choose_(of, chance);
    }

   private:
    Choose choose_;
  };
  return [choose] { return std::make_unique<of_archive>(choose); };
}

}  // namespace germline::evolution
