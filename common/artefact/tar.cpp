#include "common/artefact/tar.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "common/artefact/clean_path.hpp"
#include "common/artefact/tar_contents.hpp"

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

/// One entry of the stream: none for a folder.
result<std::optional<file>> read_entry(archive* reader, archive_entry* entry, std::string_view tar,
                                       const std::vector<std::string>& wanted,
                                       std::int64_t budget) {
  const auto path = normal_tar_path(archive_entry_pathname(entry));
  if (!is_clean_path(path)) return refuse(path.substr(0, 64), "is not a clean relative path");
  if (archive_entry_hardlink(entry) != nullptr) return refuse(path, "is a hard link");
  if (archive_entry_sparse_count(entry) > 0) return refuse(path, "is sparse");
  const auto type = archive_entry_filetype(entry);
  if (type == AE_IFDIR) return std::optional<file>();
  if (type != AE_IFREG) return refuse(path, "is neither a regular file nor a folder");
  if (!is_wanted(path, wanted)) return refuse(path, "is not in the manifest's artefact list");
  GERMLINE_TRY_ASSIGN(const auto bytes,
                      find_contents(reader, tar, path, archive_entry_size(entry), budget));
  return std::optional<file>(file{path, (archive_entry_perm(entry) & 0111) != 0, bytes});
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
    return error(error_code::invalid_argument,
                 "the artefact is no tar stream: " + said_by(reader.get()));
  }
  std::vector<file> files;
  auto budget = bounds.total_bytes;
  std::int64_t entries = 0;
  for (;;) {
    archive_entry* entry = nullptr;
    const auto status = archive_read_next_header(reader.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK) {
      return error(error_code::invalid_argument,
                   "the artefact's tar is damaged: " + said_by(reader.get()));
    }
    if (++entries > bounds.files) {
      return error(error_code::resource_exhausted,
                   "the artefact has more than " + std::to_string(bounds.files) + " entries");
    }
    GERMLINE_TRY_ASSIGN(auto found, read_entry(reader.get(), entry, tar, wanted,
                                               std::min(budget, bounds.file_bytes)));
    if (!found) continue;
    budget -= static_cast<std::int64_t>(found->bytes.size());
    files.push_back(std::move(*found));
  }
  GERMLINE_TRY(check_all_there(files, wanted));
  std::ranges::sort(files, {}, &file::path);
  GERMLINE_TRY(check_files(files, bounds));  // duplicates, files that are folders, totals
  return files;
}

struct tar_writer::impl {
  explicit impl(byte_sink sink) : into(std::move(sink)) {}

  static la_ssize_t write(archive*, void* self, const void* data, std::size_t size) {
    // The library does not free all of a stream that failed, so it is not told of it.
    auto& writing = *static_cast<impl*>(self);
    if (writing.sink_failed) return static_cast<la_ssize_t>(size);
    const auto taken = writing.into({static_cast<const char*>(data), size});
    if (!taken) writing.sink_failed = taken.error();
    return static_cast<la_ssize_t>(size);
  }
  /// Why a call of the library failed.
  error explain(const std::string& doing) const {
    if (sink_failed) return *sink_failed;
    return error(error_code::internal, doing + " failed: " + said_by(writer.get()));
  }

  byte_sink into;
  std::optional<error> sink_failed;
  // Last, since ending it may write.
  writer_ptr writer{archive_write_new(), &archive_write_free};
};

tar_writer::tar_writer(std::unique_ptr<impl> opened) : impl_(std::move(opened)) {}
tar_writer::tar_writer(tar_writer&&) noexcept = default;
tar_writer& tar_writer::operator=(tar_writer&&) noexcept = default;
tar_writer::~tar_writer() {
  // What was not finished stays cut off: no end of stream is written.
  if (impl_ && !impl_->sink_failed) {
    impl_->sink_failed = error(error_code::cancelled, "the stream was given up");
  }
}

result<tar_writer> tar_writer::open(byte_sink into) {
  constexpr int block_bytes = 1 << 20;
  auto opened = std::make_unique<impl>(std::move(into));
  auto* writer = opened->writer.get();
  archive_write_set_format_pax_restricted(writer);
  archive_write_set_bytes_per_block(writer, block_bytes);
  archive_write_set_bytes_in_last_block(writer, 1);
  if (archive_write_open2(writer, opened.get(), nullptr, &impl::write, nullptr, nullptr) !=
      ARCHIVE_OK) {
    return opened->explain("opening a tar stream");
  }
  return tar_writer(std::move(opened));
}

result<void> tar_writer::add(const file& one) {
  const entry_ptr entry(archive_entry_new(), &archive_entry_free);
  archive_entry_set_pathname(entry.get(), one.path.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), one.executable ? 0755 : 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(one.bytes.size()));
  archive_entry_set_mtime(entry.get(), 0, 0);
  const auto size = static_cast<la_ssize_t>(one.bytes.size());
  auto* writer = impl_->writer.get();
  if (archive_write_header(writer, entry.get()) != ARCHIVE_OK ||
      archive_write_data(writer, one.bytes.data(), one.bytes.size()) != size) {
    return impl_->explain("writing '" + one.path + "' to the tar stream");
  }
  if (impl_->sink_failed) return *impl_->sink_failed;
  return {};
}

result<void> tar_writer::finish() {
  if (archive_write_close(impl_->writer.get()) != ARCHIVE_OK) {
    return impl_->explain("ending the tar stream");
  }
  if (impl_->sink_failed) return *impl_->sink_failed;
  return {};
}

result<void> write_tar(const std::vector<file>& files, byte_sink into) {
  GERMLINE_TRY_ASSIGN(auto writer, tar_writer::open(std::move(into)));
  for (const auto& one : files) GERMLINE_TRY(writer.add(one));
  return writer.finish();
}

}  // namespace germline::artefact
