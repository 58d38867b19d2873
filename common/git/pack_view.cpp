#include "common/git/pack_view.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "common/git/sha1.hpp"

namespace germline::git {
namespace {

constexpr std::size_t header_bytes = 12;
constexpr std::size_t trailer_bytes = 20;

error refused(std::string message) {
  return {error_code::invalid_argument, "the pack " + std::move(message)};
}
error over(std::string message) {
  return {error_code::resource_exhausted, "the pack " + std::move(message)};
}

std::uint32_t read_be32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// Inflates one zlib stream at the front of a text, in pieces.
class inflater {
 public:
  inflater() { GERMLINE_ASSERT(inflateInit(&stream_) == Z_OK); }
  ~inflater() { inflateEnd(&stream_); }
  inflater(const inflater&) = delete;
  inflater& operator=(const inflater&) = delete;

  /// Inflates the stream at the front of `in`, which must give exactly `size` bytes, and passes
  /// them on. Returns the length of the stream.
  template <class Sink>
  result<std::size_t> run(std::string_view in, std::size_t size, Sink&& sink) {
    GERMLINE_ASSERT(inflateReset(&stream_) == Z_OK);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    std::size_t produced = 0;
    for (;;) {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      const auto got = buffer_.size() - stream_.avail_out;
      produced += got;
      if (produced > size) return refused("has an object that is longer than its declared size");
      sink(std::string_view(buffer_.data(), got));
      if (status == Z_STREAM_END) break;
      if (status != Z_OK || (got == 0 && stream_.avail_in == 0)) {
        return refused(stream_.avail_in == 0 ? "is truncated" : "has a damaged zlib stream");
      }
    }
    if (produced < size) return refused("has an object that is shorter than its declared size");
    return in.size() - stream_.avail_in;
  }

 private:
  z_stream stream_{};
  std::array<char, 65'536> buffer_{};
};

struct object_header {
  unsigned type = 0;
  std::uint64_t size = 0;
  std::size_t length = 0;  // of the header itself
};

result<object_header> read_object_header(std::string_view bytes) {
  object_header header;
  unsigned shift = 4;
  for (; header.length < bytes.size(); ++header.length) {
    const auto byte = static_cast<unsigned char>(bytes[header.length]);
    if (header.length == 0) {
      header.type = byte >> 4 & 7;
      header.size = byte & 15;
    } else {
      if (shift > 53) return refused("declares an absurd object size");
      header.size |= static_cast<std::uint64_t>(byte & 127) << shift;
      shift += 7;
    }
    if ((byte & 128) == 0) {
      ++header.length;
      return header;
    }
  }
  return refused("is truncated");
}

result<void> check_type(unsigned type) {
  if (type == 6 || type == 7) return refused("holds a delta; deltas are not taken");
  if (type == 4) return refused("holds a tag object; only commits, trees and blobs are taken");
  if (type < 1 || type > 4) return refused("holds an object of unknown type");
  return {};
}

/// Checks the frame around the objects; returns their number.
result<std::uint32_t> check_frame(std::string_view pack, const object_limits& limits) {
  if (pack.size() < header_bytes + trailer_bytes || pack.substr(0, 4) != "PACK") {
    return refused("has no pack header, or is truncated");
  }
  if (pack.size() > 0xfff0'0000) return over("is longer than 4 GiB");
  if (read_be32(pack.substr(4)) != 2) return refused("is not of version 2");
  const auto count = read_be32(pack.substr(8));
  if (count > limits.objects) {
    return over("has " + std::to_string(count) + " objects (limit " +
                std::to_string(limits.objects) + ")");
  }
  return count;
}

}  // namespace

std::string_view to_string(object_type type) noexcept {
  switch (type) {
    case object_type::commit:
      return "commit";
    case object_type::tree:
      return "tree";
    case object_type::blob:
      return "blob";
    case object_type::tag:
      return "tag";
  }
  return "unknown";
}

result<pack_view> pack_view::open(std::string_view pack, const object_limits& limits) {
  pack_view view;
  view.pack_ = pack;
  if (pack.empty()) return view;
  GERMLINE_TRY_ASSIGN(const auto count, check_frame(pack, limits));
  const auto end = pack.size() - trailer_bytes;
  std::size_t at = header_bytes;
  std::uint64_t total = 0;
  inflater inflate;
  sha1 digest;
  for (std::uint32_t i = 0; i < count; ++i) {
    GERMLINE_TRY_ASSIGN(const auto header, read_object_header(pack.substr(at, end - at)));
    GERMLINE_TRY(check_type(header.type));
    if (header.size > static_cast<std::uint64_t>(limits.blob_bytes)) {
      return over("has an object of " + std::to_string(header.size) + " bytes (limit " +
                  std::to_string(limits.blob_bytes) + ")");
    }
    total += header.size;
    if (total > static_cast<std::uint64_t>(limits.total_bytes)) {
      return over("inflates to more than " + std::to_string(limits.total_bytes) + " bytes");
    }
    at += header.length;
    const entry found{static_cast<object_type>(header.type), at,
                      static_cast<std::size_t>(header.size)};
    digest.restart();
    digest.update(std::string(to_string(found.type)) + " " + std::to_string(found.size) +
                  std::string(1, '\0'));
    GERMLINE_TRY_ASSIGN(const auto length,
                        inflate.run(pack.substr(at, end - at), found.size,
                                    [&](std::string_view piece) { digest.update(piece); }));
    at += length;
    const auto id = digest.finish();
    if (!view.entries_.emplace(id, found).second) {
      return refused("holds object " + id.hex() + " twice");
    }
  }
  if (at != end) return refused("has bytes after its last object");
  digest.restart();
  digest.update(pack.substr(0, end));
  if (digest.finish().raw() != pack.substr(end)) return refused("does not fit its checksum");
  return view;
}

std::string_view pack_view::body() const noexcept {
  if (pack_.empty()) return {};
  return pack_.substr(header_bytes, pack_.size() - header_bytes - trailer_bytes);
}

const pack_view::entry* pack_view::find(const oid& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

result<std::string> pack_view::read(const entry& which) const {
  std::string bytes;
  bytes.reserve(which.size);
  auto inflate = std::make_unique<inflater>();
  GERMLINE_TRY(inflate->run(pack_.substr(which.offset, pack_.size() - trailer_bytes - which.offset),
                            which.size, [&](std::string_view piece) { bytes.append(piece); }));
  return bytes;
}

}  // namespace germline::git
