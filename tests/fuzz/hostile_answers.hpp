// hostile_answers: what a mirror's upstream might answer: good answers, and such as make two
// readers see two answers, break off, or are no HTTP. Pure, by the random_source given; one thread.
#pragma once

#include <cstddef>
#include <vector>

#include "common/random.hpp"
#include "tests/gateway/canned_upstream.hpp"

namespace germline::tests {

/// Of which "/moved" is where those that redirect lead.
std::vector<canned_answer> hostile_answers(std::size_t count, random_source& random);

}  // namespace germline::tests
