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

void append_object(std::string& out, object_type type, std::string_view bytes) {
  append_header(out, type, bytes.size());
  thread_local deflater compress;
  compress.append_to(out, bytes);
}

std::string pack_header(std::size_t objects) {
  std::string header = "PACK";
  append_be32(header, 2);
  append_be32(header, static_cast<std::uint32_t>(objects));
  return header;
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
  if (added_.emplace(id, true).second) append_object(body_, type, bytes);
  return id;
}

std::string pack_writer::finish() && {
  std::string pack = pack_header(added_.size());
  pack.reserve(body_.size() + 32);
  pack += body_;
  sha1 digest;
  digest.update(pack);
  pack += digest.finish().raw();
  return pack;
}

struct pack_stream::impl {
  pack_sink into;
  std::uint32_t left = 0;
  std::size_t bytes = 0;
  sha1 digest;

  result<void> write(std::string_view part) {
    digest.update(part);
    bytes += part.size();
    return into(part);
  }
};

pack_stream::pack_stream(std::unique_ptr<impl> begun) : impl_(std::move(begun)) {}
pack_stream::pack_stream(pack_stream&&) noexcept = default;
pack_stream::~pack_stream() = default;

result<pack_stream> pack_stream::begin(std::uint32_t count, pack_sink into) {
  auto begun = std::make_unique<impl>();
  begun->into = std::move(into);
  begun->left = count;
  GERMLINE_TRY(begun->write(pack_header(count)));
  return pack_stream(std::move(begun));
}

result<void> pack_stream::add(object_type type, std::string_view bytes) {
  GERMLINE_ASSERT(impl_->left > 0);
  --impl_->left;
  std::string entry;
  append_object(entry, type, bytes);
  return impl_->write(entry);
}

result<void> pack_stream::add_all(const pack_view& other) {
  GERMLINE_ASSERT(impl_->left >= other.size());
  impl_->left -= static_cast<std::uint32_t>(other.size());
  return impl_->write(other.body());
}

result<void> pack_stream::finish() {
  GERMLINE_ASSERT(impl_->left == 0);
  const auto sum = impl_->digest.finish();
  impl_->bytes += sum.raw().size();
  return impl_->into(sum.raw());
}

std::size_t pack_stream::bytes() const noexcept {
  return impl_->bytes;
}

}  // namespace germline::git
