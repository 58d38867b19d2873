// wire_texts: makes a message fit for the wire. Much of its text came out of a sandbox: bytes that
// are no UTF-8 would end the stream, as would a message beyond the receiver's bound, and again each
// time it is repeated. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>

#include "germline/v1/fleet.pb.h"

namespace germline::worker {

/// What the coordinator takes in one message is 4 MiB; the rest is for what goes around a result.
inline constexpr std::size_t result_bytes_max = 3 << 20;

/// Makes every text in `message` valid UTF-8, as valid_utf8 does.
void make_texts_valid(google::protobuf::Message& message);

/// The same; then leaves out the outcomes of tests where the result is larger than it may be. False
/// when it is so without them too.
bool make_sendable(v1::AttemptResult& result);

}  // namespace germline::worker
