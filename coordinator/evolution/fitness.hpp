// fitness: what repeated evaluations of one generation say together. Pure; any thread.
#pragma once

#include <vector>

namespace germline::evolution {

/// Of scores that are taken to be independent and to differ by chance.
struct fitness_estimate {
  double mean = 0;
  // Of the mean at 95 %, by Student's t (W. S. Gosset, "The probable error of a mean", 1908):
  // mean -+ t(0.975, n - 1) s / sqrt(n), with s the sample's standard deviation. Of one score there
  // is none: then both are the mean.
  double low = 0;
  double high = 0;
};

/// REQUIRES at least one score.
fitness_estimate estimate(const std::vector<double>& scores);

}  // namespace germline::evolution
