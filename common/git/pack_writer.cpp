#include "common/git/pack_writer.hpp"

#include <zlib.h>

#include "common/assert.hpp"
#include "common/git/sha1.hpp"

namespace germline::git {
namespace {

void append_header(std::string& out, object_type type, std::size_t size) {
  auto byte = static_cast<unsigned>(type) << 4 | static_cast<unsigned>(size & 15);
  size >>= 4;
  while (size != 0) {
    out += static_cast<char>(byte | 128);
    byte = size & 127;
    size >>= 7;
  }
  out += static_cast<char>(byte);
}

void append_be32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
}

}  // namespace

oid hash_object(object_type type, std::string_view bytes) {
  sha1 digest;
  digest.update(std::string(to_string(type)) + " " + std::to_string(bytes.size()) +
                std::string(1, '\0'));
  digest.update(bytes);
  return digest.finish();
}

oid pack_writer::add(object_type type, std::string_view bytes) {
  const auto id = hash_object(type, bytes);
  if (!added_.emplace(id, true).second) return id;
  append_header(body_, type, bytes.size());
  auto length = compressBound(static_cast<uLong>(bytes.size()));
  const auto at = body_.size();
  body_.resize(at + length);
  const int status = compress2(reinterpret_cast<Bytef*>(body_.data() + at), &length,
                               reinterpret_cast<const Bytef*>(bytes.data()),
                               static_cast<uLong>(bytes.size()), Z_BEST_SPEED);
  GERMLINE_ASSERT(status == Z_OK);
  body_.resize(at + length);
  return id;
}

std::string pack_writer::finish() && {
  std::string pack = "PACK";
  pack.reserve(body_.size() + 32);
  append_be32(pack, 2);
  append_be32(pack, static_cast<std::uint32_t>(added_.size()));
  pack += body_;
  sha1 digest;
  digest.update(pack);
  pack += digest.finish().raw();
  return pack;
}

}  // namespace germline::git
