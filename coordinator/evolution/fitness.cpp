#include "coordinator/evolution/fitness.hpp"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "common/assert.hpp"

namespace germline::evolution {

fitness_estimate estimate(const std::vector<double>& scores) {
  GERMLINE_ASSERT(!scores.empty());
  // B. P. Welford, "Note on a method for calculating corrected sums of squares and products", 1962.
  double mean = 0;
  double squares = 0;
  double count = 0;
  for (const double score : scores) {
    ++count;
    const double off = score - mean;
    mean += off / count;
    squares += off * (score - mean);
  }
  if (scores.size() < 2) return {mean, mean, mean};
  const boost::math::students_t spread(count - 1);
  const double half =
      boost::math::quantile(spread, 0.975) * std::sqrt(squares / (count - 1) / count);
  return {mean, mean - half, mean + half};
}

}  // namespace germline::evolution
