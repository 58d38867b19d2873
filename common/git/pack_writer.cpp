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

/// A zlib stream that is used again for every object: setting one up costs more than most objects.
class deflater {
 public:
  deflater() { GERMLINE_ASSERT(deflateInit(&stream_, Z_BEST_SPEED) == Z_OK); }
  ~deflater() { deflateEnd(&stream_); }
  deflater(const deflater&) = delete;
  deflater& operator=(const deflater&) = delete;

  void append_to(std::string& out, std::string_view bytes) {
    GERMLINE_ASSERT(deflateReset(&stream_) == Z_OK);
    const auto at = out.size();
    const auto room = deflateBound(&stream_, static_cast<uLong>(bytes.size()));
    out.resize(at + room);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + at);
    stream_.avail_out = static_cast<uInt>(room);
    GERMLINE_ASSERT(deflate(&stream_, Z_FINISH) == Z_STREAM_END);
    out.resize(at + room - stream_.avail_out);
  }

 private:
  z_stream stream_{};
};

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
  thread_local deflater compress;
  compress.append_to(body_, bytes);
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
