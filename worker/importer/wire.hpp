// wire: the importer's frames. Input: u32 little-endian length and JSON job, u64 length and the
// parent's pack, u64 length and the candidate's pack. Output: u32 length and JSON verdict, u64
// length and the canonical pack. Both sides use this file; both decode under bounds, and the worker
// takes a verdict for what a sandbox said.
// Pure; may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "worker/importer/job.hpp"

namespace germline::worker {

inline constexpr std::size_t import_json_bytes_max = 2 << 20;
inline constexpr std::size_t import_pack_bytes_max = std::size_t{1} << 30;

/// What goes before the parent's pack, so that a caller need not copy the packs into one string.
std::string encode_job_header(const import_job& job);
std::string encode_u64(std::uint64_t value);
/// All of the input at once.
std::string encode_input(const import_job& job, std::string_view parent_pack,
                         std::string_view candidate_pack);

struct decoded_input {
  import_job job;
  std::string_view parent_pack, candidate_pack;  // into the bytes that were decoded
};
result<decoded_input> decode_input(std::string_view bytes);

std::string encode_output(const import_output& output);
/// Checks shapes and bounds: ids are ids, texts are bounded, verdict and fields fit each other, and
/// no byte follows.
result<import_output> decode_output(std::string_view bytes,
                                    std::size_t pack_bytes_max = import_pack_bytes_max);

}  // namespace germline::worker
