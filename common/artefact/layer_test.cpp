#include "common/artefact/layer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/support/temp_dir.hpp"

using namespace germline;
using namespace germline::artefact;
using germline::tests::temp_dir;
namespace fs = std::filesystem;

namespace {

struct given {
  std::string path;
  unsigned type = AE_IFREG;
  std::string bytes = {};  // or the target of a link
  unsigned mode = 0644;
};

std::string tar_of(const std::vector<given>& entries) {
  const std::unique_ptr<archive, decltype(&archive_write_free)> out(archive_write_new(),
                                                                    &archive_write_free);
  std::string bytes(1 << 20, '\0');
  std::size_t used = 0;
  archive_write_set_format_pax(out.get());
  REQUIRE(archive_write_open_memory(out.get(), bytes.data(), bytes.size(), &used) == ARCHIVE_OK);
  for (const auto& one : entries) {
    const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                              &archive_entry_free);
    archive_entry_set_pathname(entry.get(), one.path.c_str());
    archive_entry_set_perm(entry.get(), one.mode);
    if (one.type == 0) {
      archive_entry_set_filetype(entry.get(), AE_IFREG);
      archive_entry_set_hardlink(entry.get(), one.bytes.c_str());
    } else {
      archive_entry_set_filetype(entry.get(), one.type);
    }
    if (one.type == AE_IFLNK) archive_entry_set_symlink(entry.get(), one.bytes.c_str());
    const bool is_file = one.type == AE_IFREG;
    archive_entry_set_size(entry.get(), is_file ? static_cast<la_int64_t>(one.bytes.size()) : 0);
    REQUIRE(archive_write_header(out.get(), entry.get()) == ARCHIVE_OK);
    if (is_file) archive_write_data(out.get(), one.bytes.data(), one.bytes.size());
  }
  REQUIRE(archive_write_close(out.get()) == ARCHIVE_OK);
  bytes.resize(used);
  return bytes;
}

std::string why_not(const std::vector<given>& entries, const layer_limits& bounds = {}) {
  const auto tar = tar_of(entries);
  const auto read = read_layer(tar, bounds);
  return read ? "it is taken" : read.error().message();
}

}  // namespace

TEST_CASE("a link is relative and stays inside wherever other links lead") {
  for (const auto& [path, target] : std::vector<std::pair<std::string, std::string>>{
           {"a", "b"}, {"a", "./b/c"}, {"a/b", "../c"}, {"a/b/c", "../../d/e"}, {"a/b", "."}}) {
    CHECK_MESSAGE(check_link(path, target), path, " -> ", target);
  }
  for (const auto& [path, target] : std::vector<std::pair<std::string, std::string>>{
           {"a", ""},
           {"a", "/etc"},
           {"a", ".."},
           {"a/b", "../.."},
           {"a/b", "../../a"},
           {"a/b/c", "x/../../.."},
           {"a/b/c", "x/.."},  // x may be a link itself
           {"a", std::string(2'000, 'x')}}) {
    CHECK_FALSE_MESSAGE(check_link(path, target), path, " -> ", target);
  }
}

TEST_CASE("files, folders and links come out as they were, with no right but that they run") {
  const temp_dir dir;
  const auto tar = tar_of({{"./", AE_IFDIR},
                           {"./bin", AE_IFDIR, "", 0700},
                           {"./bin/tool", AE_IFREG, "#!/bin/sh\n", 06777},
                           {"./bin/alias", AE_IFLNK, "tool"},
                           {"./deep/er/data", AE_IFREG, "bytes", 0600}});
  const auto read = read_layer(tar, {});
  REQUIRE_MESSAGE(read, read.error().message());
  const auto root = dir.path() + "/tree";
  fs::create_directory(root);
  REQUIRE(write_layer(root, *read));
  const auto mode_of = [&](const std::string& path) {
    struct stat info = {};
    REQUIRE(::lstat((root + "/" + path).c_str(), &info) == 0);
    return info.st_mode & 07777;
  };
  CHECK(mode_of("bin/tool") == 0555);
  CHECK(mode_of("deep/er/data") == 0444);
  CHECK(mode_of("bin") == 0755);
  CHECK(mode_of("deep/er") == 0755);
  CHECK(fs::read_symlink(root + "/bin/alias") == "tool");
  const auto digest = digest_layer(root);
  REQUIRE(digest);
  CHECK(digest->bytes == 15);
  CHECK(digest->entries == 6);
}

TEST_CASE("what a layer cannot have is refused") {
  CHECK(why_not({{"a", AE_IFLNK, "/etc/passwd"}}).find("stays inside") != std::string::npos);
  CHECK(why_not({{"pipe", AE_IFIFO}}).find("neither a file") != std::string::npos);
  CHECK(why_not({{"null", AE_IFCHR}}).find("neither a file") != std::string::npos);
  CHECK(why_not({{"a", AE_IFREG, "x"}, {"b", 0, "a"}}).find("hard link") != std::string::npos);
  CHECK(why_not({{"../a", AE_IFREG, "x"}}).find("clean") != std::string::npos);
  CHECK(why_not({{"/a", AE_IFREG, "x"}}).find("clean") != std::string::npos);
  CHECK(why_not({{"a", AE_IFREG, "x"}, {"a", AE_IFREG, "y"}}).find("twice") != std::string::npos);
  CHECK(why_not({{"a", AE_IFLNK, "b"}, {"a/c", AE_IFREG, "x"}}).find("beneath") !=
        std::string::npos);
  CHECK(why_not({{"a", AE_IFREG, "x"}, {"a/c", AE_IFREG, "x"}}).find("beneath") !=
        std::string::npos);
  CHECK(why_not({{"a", AE_IFREG, "xx"}, {"b", AE_IFREG, "yy"}}, {3, 10}).find("total size") !=
        std::string::npos);
  CHECK(why_not({{"a", AE_IFREG}, {"b", AE_IFREG}}, {10, 1}).find("more than 1 ") !=
        std::string::npos);
  CHECK_FALSE(read_layer("no tar at all, but longer than nothing", {}));
}

TEST_CASE("a digest tells contents, names, rights and targets apart; a fingerprint any touch") {
  const temp_dir dir;
  const auto digest_of = [&](const std::vector<given>& entries) {
    const auto root = dir.path() + "/" + std::to_string(entries.size()) + entries[0].path +
                      entries[0].bytes + std::to_string(entries[0].mode);
    fs::create_directory(root);
    const auto tar = tar_of(entries);
    REQUIRE(write_layer(root, *read_layer(tar, {})));
    return digest_layer(root)->sha256;
  };
  const auto first = digest_of({{"a", AE_IFREG, "x"}});
  CHECK(first != digest_of({{"a", AE_IFREG, "y"}}));
  CHECK(first != digest_of({{"b", AE_IFREG, "x"}}));
  CHECK(first != digest_of({{"a", AE_IFREG, "x", 0755}}));
  CHECK(digest_of({{"l", AE_IFLNK, "x"}}) != digest_of({{"l", AE_IFLNK, "y"}}));

  const auto root = dir.path() + "/touched";
  fs::create_directory(root);
  std::ofstream(root + "/a") << "x";
  const auto before = *fingerprint_layer(root);
  CHECK(before == *fingerprint_layer(root));
  std::ofstream(root + "/a", std::ios::in) << "y";
  CHECK(before != *fingerprint_layer(root));
}
