#include "common/artefact/tar.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "common/artefact/clean_path.hpp"

namespace germline::artefact {
namespace {

using reader_ptr = std::unique_ptr<archive, decltype(&archive_read_free)>;
using writer_ptr = std::unique_ptr<archive, decltype(&archive_write_free)>;
using entry_ptr = std::unique_ptr<archive_entry, decltype(&archive_entry_free)>;

error refuse(const std::string& path, const std::string& why) {
  return error(error_code::invalid_argument, "artefact entry '" + path + "' " + why);
}

bool is_wanted(const std::string& path, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return true;
  return std::ranges::any_of(wanted, [&](const std::string& name) {
    return path == name || path.starts_with(name + "/");
  });
}

std::string normal_path(const char* raw) {
  std::string path = raw == nullptr ? "" : raw;
  if (path.starts_with("./")) path.erase(0, 2);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

result<std::string> read_contents(archive* reader, const std::string& path, std::int64_t size,
                                  std::int64_t budget) {
  if (size < 0 || size > budget) {
    return error(error_code::resource_exhausted,
                 "artefact entry '" + path + "' goes past the limit on the total size");
  }
  std::string contents(static_cast<std::size_t>(size), '\0');
  std::size_t done = 0;
  while (done < contents.size()) {
    const auto got = archive_read_data(reader, contents.data() + done, contents.size() - done);
    if (got < 0)
      return refuse(path, std::string("cannot be read: ") + archive_error_string(reader));
    if (got == 0) return refuse(path, "is shorter than its header says");
    done += static_cast<std::size_t>(got);
  }
  return contents;
}

/// One entry of the stream: none for a folder.
result<std::optional<file>> read_entry(archive* reader, archive_entry* entry,
                                       const std::vector<std::string>& wanted,
                                       std::int64_t budget) {
  const auto path = normal_path(archive_entry_pathname(entry));
  if (!is_clean_path(path)) return refuse(path.substr(0, 64), "is not a clean relative path");
  if (archive_entry_hardlink(entry) != nullptr) return refuse(path, "is a hard link");
  if (archive_entry_sparse_count(entry) > 0) return refuse(path, "is sparse");
  const auto type = archive_entry_filetype(entry);
  if (type == AE_IFDIR) return std::optional<file>();
  if (type != AE_IFREG) return refuse(path, "is neither a regular file nor a folder");
  if (!is_wanted(path, wanted)) return refuse(path, "is not in the manifest's artefact list");
  GERMLINE_TRY_ASSIGN(auto bytes, read_contents(reader, path, archive_entry_size(entry), budget));
  return std::optional<file>(file{path, (archive_entry_perm(entry) & 0111) != 0, std::move(bytes)});
}

result<void> check_all_there(const std::vector<file>& files,
                             const std::vector<std::string>& wanted) {
  for (const auto& name : wanted) {
    const auto there = std::ranges::any_of(files, [&](const file& found) {
      return found.path == name || found.path.starts_with(name + "/");
    });
    if (!there) return refuse(name, "is in the manifest's artefact list and was not built");
  }
  if (files.empty()) return error(error_code::invalid_argument, "the artefact has no file");
  return {};
}

}  // namespace

result<std::vector<file>> read_tar(std::string_view tar, const std::vector<std::string>& wanted,
                                   const limits& bounds) {
  const reader_ptr reader(archive_read_new(), &archive_read_free);
  archive_read_support_format_tar(reader.get());  // and no compression: nothing here inflates
  if (archive_read_open_memory(reader.get(), tar.data(), tar.size()) != ARCHIVE_OK) {
    return error(error_code::invalid_argument, std::string("the artefact is no tar stream: ") +
                                                   archive_error_string(reader.get()));
  }
  std::vector<file> files;
  auto budget = bounds.total_bytes;
  std::int64_t entries = 0;
  for (;;) {
    archive_entry* entry = nullptr;
    const auto status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) {
      return error(error_code::invalid_argument, std::string("the artefact's tar is damaged: ") +
                                                     archive_error_string(reader.get()));
    }
    if (++entries > bounds.files) {
      return error(error_code::resource_exhausted,
                   "the artefact has more than " + std::to_string(bounds.files) + " entries");
    }
    GERMLINE_TRY_ASSIGN(
        auto found, read_entry(reader.get(), entry, wanted, std::min(budget, bounds.file_bytes)));
    if (!found) continue;
    budget -= static_cast<std::int64_t>(found->bytes.size());
    files.push_back(std::move(*found));
  }
  GERMLINE_TRY(check_all_there(files, wanted));
  std::ranges::sort(files, {}, &file::path);
  GERMLINE_TRY(seal(files, bounds));  // duplicates, files that are folders, totals
  return files;
}

result<std::string> write_tar(const std::vector<file>& files) {
  std::string bytes;
  const writer_ptr writer(archive_write_new(), &archive_write_free);
  archive_write_set_format_pax_restricted(writer.get());
  archive_write_set_bytes_in_last_block(writer.get(), 1);
  const auto append = [](archive*, void* into, const void* data, std::size_t size) {
    static_cast<std::string*>(into)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
  };
  if (archive_write_open2(writer.get(), &bytes, nullptr, append, nullptr, nullptr) != ARCHIVE_OK) {
    return error(error_code::internal, "opening a tar stream in memory failed");
  }
  for (const auto& one : files) {
    const entry_ptr entry(archive_entry_new(), &archive_entry_free);
    archive_entry_set_pathname(entry.get(), one.path.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), one.executable ? 0755 : 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(one.bytes.size()));
    archive_entry_set_mtime(entry.get(), 0, 0);
    const auto size = static_cast<la_ssize_t>(one.bytes.size());
    if (archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK ||
        archive_write_data(writer.get(), one.bytes.data(), one.bytes.size()) != size) {
      return error(error_code::internal, "writing '" + one.path + "' to the tar stream failed: " +
                                             archive_error_string(writer.get()));
    }
  }
  if (archive_write_close(writer.get()) != ARCHIVE_OK) {
    return error(error_code::internal, "ending the tar stream failed");
  }
  return bytes;
}

}  // namespace germline::artefact
