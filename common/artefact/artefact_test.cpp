#include "common/artefact/artefact_store.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <filesystem>
#include <fstream>

#include "common/artefact/tar.hpp"

using namespace germline;
using namespace germline::artefact;
namespace fs = std::filesystem;

namespace {

struct tar_entry {
  std::string path;
  std::string contents;
  mode_t type = AE_IFREG;
  std::string hardlink = {};
};

std::string make_tar(const std::vector<tar_entry>& entries) {
  std::string bytes(1 << 20, '\0');
  std::size_t used = 0;
  auto* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  REQUIRE(archive_write_open_memory(writer, bytes.data(), bytes.size(), &used) == ARCHIVE_OK);
  for (const auto& made : entries) {
    auto* entry = archive_entry_new();
    archive_entry_set_pathname(entry, made.path.c_str());
    archive_entry_set_filetype(entry, made.type);
    archive_entry_set_perm(entry, 0755);
    if (!made.hardlink.empty()) archive_entry_set_hardlink(entry, made.hardlink.c_str());
    if (made.type == AE_IFLNK) archive_entry_set_symlink(entry, "/etc/passwd");
    const bool has_data = made.type == AE_IFREG && made.hardlink.empty();
    archive_entry_set_size(entry, has_data ? static_cast<long>(made.contents.size()) : 0);
    archive_write_header(writer, entry);
    if (has_data) archive_write_data(writer, made.contents.data(), made.contents.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  bytes.resize(used);
  return bytes;
}

std::string why_refused(const std::vector<tar_entry>& entries,
                        const std::vector<std::string>& declared = {}, const limits& bounds = {}) {
  const auto read = read_tar(make_tar(entries), declared, bounds);
  return read ? "" : read.error().message();
}

byte_sink appending_to(std::string& text) {
  return [&](std::string_view bytes) -> result<void> {
    text += bytes;
    return {};
  };
}

struct scratch {
  fs::path path;
  scratch() {
    std::string name = (fs::temp_directory_path() / "artefact-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~scratch() { fs::remove_all(path); }
};

}  // namespace

TEST_CASE("the id depends on paths, modes and contents, not on the order in the stream") {
  const auto id_of = [](const std::vector<tar_entry>& entries) {
    const auto tar = make_tar(entries);
    const auto files = read_tar(tar, {}, {});
    REQUIRE(files);
    return artefact_id(*seal(*files, {}));
  };
  CHECK(id_of({{"b", "2"}, {"a/x", "1"}}) == id_of({{"a/x", "1"}, {"b", "2"}}));
  CHECK(id_of({{"b", "2"}}) != id_of({{"b", "3"}}));
  CHECK(id_of({{"b", "2"}}) != id_of({{"c", "2"}}));
}

TEST_CASE("hostile entries are refused, each by name") {
  const auto says = [](const std::string& why, const char* what) {
    CHECK_MESSAGE(why.find(what) != std::string::npos, why);
  };
  says(why_refused({{"../x", "1"}}), "clean relative");
  says(why_refused({{"/etc/x", "1"}}), "clean relative");
  says(why_refused({{"a/../../x", "1"}}), "clean relative");
  says(why_refused({{"link", "", AE_IFLNK}}), "regular file");
  says(why_refused({{"fifo", "", AE_IFIFO}}), "regular file");
  says(why_refused({{"dev", "", AE_IFBLK}}), "regular file");
  says(why_refused({{"a", "1"}, {"b", "", AE_IFREG, "a"}}), "hard link");
  says(why_refused({{"a", "1"}, {"a", "2"}}), "twice");
  says(why_refused({{"a", "1"}, {"a.b", "3"}, {"a/b", "2"}}), "file and a folder");
  says(why_refused({{"other", "1"}}, {"build/agent"}), "artefact list");
  says(why_refused({{"build/agent", "1"}}, {"build/agent", "lib"}), "not built");
  says(why_refused({{"a", "12345"}}, {}, {.total_bytes = 4}), "limit");
  says(why_refused({{"a", "1"}, {"b", "1"}}, {}, {.files = 1}), "more than 1");
  says(why_refused({{"d", "", AE_IFDIR}}), "no file");
  says(why_refused({{"caf\x01", "1"}}), "control characters");
}

TEST_CASE("truncated and foreign bytes are refused") {
  const auto whole = make_tar({{"a", std::string(5'000, 'x')}});
  CHECK_FALSE(read_tar(whole.substr(0, 2'000), {}, {}));
  CHECK_FALSE(read_tar("not a tar", {}, {}));
  CHECK_FALSE(read_tar("", {}, {}));
}

TEST_CASE("files of every size go through a tar as they are, and an end of the sink is told") {
  const std::string large(3 << 20, 'x');
  const std::vector<file> files = {
      {"a", true, large}, {"b", false, ""}, {std::string(300, 'd'), false, "1"}};
  std::string tar;
  REQUIRE(write_tar(files, appending_to(tar)));
  const auto back = read_tar(tar, {}, {});
  REQUIRE(back);
  REQUIRE(back->size() == 3);
  CHECK((*back)[0].bytes == large);
  CHECK((*back)[0].executable);
  CHECK((*back)[0].bytes.data() >= tar.data());  // it lies in the stream: nothing was copied
  CHECK((*back)[0].bytes.data() < tar.data() + tar.size());
  CHECK((*back)[1].bytes.empty());
  CHECK((*back)[2].path == std::string(300, 'd'));
  int pieces = 0;
  const auto ended = write_tar(files, [&](std::string_view bytes) -> result<void> {
    CHECK(bytes.size() <= 1 << 20);
    if (++pieces == 2) return error(error_code::cancelled, "gone away");
    return {};
  });
  REQUIRE_FALSE(ended);
  CHECK(ended.error().message() == "gone away");
  CHECK(pieces == 2);
}

TEST_CASE("what the library has no words for is refused too") {
  // A header that says that a long link's name of 100,000 bytes follows, and then not even one.
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, std::string_view text) {
    header.replace(at, text.size(), text);
  };
  put(0, "././@LongLink");
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000303240");
  put(136, "00000000000");
  put(148, "        ");
  put(156, "K");
  put(257, "ustar  ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  put(148, std::string_view(digits, 7));
  const auto read = read_tar(header + std::string(512, 'x'), {}, {});
  REQUIRE_FALSE(read);
  CHECK(read.error().message().find("damaged: ") != std::string::npos);
}

TEST_CASE("a manifest survives its text, and damage to the text is found") {
  const auto sealed = seal({{"a", true, "1"}, {"b", false, "2"}}, {});
  REQUIRE(sealed);
  const auto text = to_json(*sealed);
  CHECK(*parse_manifest(text, {}) == *sealed);
  CHECK(sealed->total_bytes() == 2);
  CHECK_FALSE(parse_manifest(text.substr(1), {}));
  CHECK_FALSE(parse_manifest(R"({"schema":1,"files":[{"path":"../x","mode":"0644","size":1,
      "sha256":"0"}]})",
                             {}));
  CHECK_FALSE(parse_manifest(R"({"schema":2,"files":[]})", {}));
}

TEST_CASE("what is stored comes back, whole and read-only, under any umask") {
  const scratch dir;
  const auto before = ::umask(0077);
  auto store = artefact_store::open(dir.path.string());
  REQUIRE(store);
  const auto given = make_tar({{"build/agent", "#!"}});
  const auto files = read_tar(given, {"build/agent"}, {});
  REQUIRE(files);
  const auto id = store->put(*files);
  REQUIRE(id);
  CHECK(*store->put(*files) == *id);
  ::umask(before);
  std::string tar;
  REQUIRE(store->write_tar(*id, appending_to(tar)));
  const auto back = read_tar(tar, {}, {});
  REQUIRE(back);
  CHECK((*back)[0].bytes == "#!");
  const auto place = *store->tree_path(*id);
  CHECK((fs::status(place + "/build/agent").permissions() & fs::perms(0777)) == fs::perms(0555));
  CHECK((fs::status(place + "/build").permissions() & fs::perms(0777)) == fs::perms(0755));
  CHECK((fs::status(place + "/..").permissions() & fs::perms(0777)) == fs::perms(0755));
  CHECK(artefact_id(*seal(*back, {})) == *id);
  CHECK(*store->list() == std::vector<std::string>{*id});
  REQUIRE(store->remove(*id));
  CHECK(store->list()->empty());
}

TEST_CASE("damage on disk is found, and what a crash left half-made is swept once it is old") {
  const scratch dir;
  fs::create_directories(dir.path / ".incoming-old/x");
  fs::create_directories(dir.path / ".incoming-new");
  const timeval long_ago[2] = {{1'000, 0}, {1'000, 0}};
  REQUIRE(::utimes((dir.path / ".incoming-old").c_str(), long_ago) == 0);
  auto store = artefact_store::open(dir.path.string());
  REQUIRE(store);
  CHECK(fs::exists(dir.path /
                   ".incoming-old"));  // it is opened again and again, and looks at nothing
  REQUIRE(store->clear_unfinished());
  CHECK_FALSE(fs::exists(dir.path / ".incoming-old"));
  CHECK(fs::exists(dir.path / ".incoming-new"));
  const auto id = store->put({{"a", false, "1"}});
  REQUIRE(id);
  const auto place = fs::path(*store->tree_path(*id)) / "a";
  fs::permissions(place, fs::perms(0644));
  std::ofstream(place) << "2";
  std::string tar;
  const auto written = store->write_tar(*id, appending_to(tar));
  REQUIRE_FALSE(written);
  CHECK(written.error().code() == error_code::data_loss);
  CHECK_FALSE(read_tar(tar, {}, {}));
  CHECK_FALSE(store->contains("../" + *id));
}
