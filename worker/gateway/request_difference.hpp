// request_difference: in what a request differs from the one that was recorded in its place, said
// in one line for who wrote the agent. Both were written by a sandbox: hostile.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace germline::worker {

/// The first difference: where in the JSON, and both values, shortened; none where they are the
/// same, byte for byte. `in_own_words`: what was recorded is what the client sent, without what the
/// gateway puts in, which is then not looked at.
std::optional<std::string> first_difference(std::string_view asked, std::string_view recorded,
                                            bool in_own_words);

/// A request's JSON, spelt in one way and without what the gateway puts in: requests that
/// first_difference finds the same in their own words have the same. Of what is no object: it as it
/// is.
std::string own_words(std::string_view request);

}  // namespace germline::worker
