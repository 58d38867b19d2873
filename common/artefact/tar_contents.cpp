#include "common/artefact/tar_contents.hpp"

#include <functional>

namespace germline::artefact {
namespace {

error refuse(const std::string& path, const std::string& why) {
  return error(error_code::invalid_argument, "artefact entry '" + path + "' " + why);
}

}  // namespace

std::string said_by(archive* from) {
  const char* text = archive_error_string(from);
  return text == nullptr ? "it is malformed" : text;
}

std::string normal_tar_path(const char* raw) {
  std::string path = raw == nullptr ? "" : raw;
  if (path.starts_with("./")) path.erase(0, 2);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

result<std::string_view> find_contents(archive* reader, std::string_view tar,
                                       const std::string& path, std::int64_t size,
                                       std::int64_t budget) {
  if (size < 0 || size > budget) {
    return error(error_code::resource_exhausted,
                 "artefact entry '" + path + "' goes past the limit on the total size");
  }
  std::string_view contents;
  while (static_cast<std::int64_t>(contents.size()) < size) {
    const void* block = nullptr;
    std::size_t block_size = 0;
    la_int64_t offset = 0;
    const auto status = archive_read_data_block(reader, &block, &block_size, &offset);
    if (status == ARCHIVE_EOF) return refuse(path, "is shorter than its header says");
    if (status != ARCHIVE_OK) {
      return refuse(path, "cannot be read: " + said_by(reader));
    }
    const std::string_view piece(static_cast<const char*>(block), block_size);
    if (contents.empty()) contents = piece.substr(0, 0);
    const std::less_equal<> not_after;
    const bool follows = piece.data() == contents.data() + contents.size() &&
                         offset == static_cast<la_int64_t>(contents.size()) &&
                         not_after(tar.data(), piece.data()) &&
                         not_after(piece.data() + piece.size(), tar.data() + tar.size());
    if (!follows) return refuse(path, "does not lie in the stream in one piece");
    contents = {contents.data(), contents.size() + piece.size()};
  }
  return contents;
}

}  // namespace germline::artefact
