// hostile_http: requests as hostile code might send them to the fronts of the gateway and the
// mirror: good ones, framed well or in the ways that make two readers see two requests, several at
// once. Pure, by the random_source given; one thread.
#pragma once

#include <string>

#include "common/random.hpp"

namespace germline::tests {

/// A body of Messages that may go out, of at least `size` bytes and unlike those of other marks.
std::string marked_body(const std::string& mark, std::size_t size = 0);
/// A few requests in a row, by one who knows `token`. What they ask for holds `mark`.
std::string hostile_requests(const std::string& token, const std::string& mark,
                             random_source& random);
/// A few requests in a row to a mirror that has "/npm" and "/files", for what may be asked for
/// there and what may not. What is hidden in bodies and fields holds `mark`.
std::string hostile_fetches(const std::string& mark, random_source& random);

}  // namespace germline::tests
