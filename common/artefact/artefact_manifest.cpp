#include "common/artefact/artefact_manifest.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/artefact/clean_path.hpp"
#include "common/hash.hpp"
#include "common/log.hpp"

namespace germline::artefact {
namespace {

using json = nlohmann::json;

error refuse(const std::string& path, const std::string& why) {
  return error(error_code::invalid_argument, "artefact entry '" + path + "' " + why);
}

/// Checks all that `manifest` promises of its files.
result<void> check(const manifest& sealed, const limits& bounds) {
  if (static_cast<std::int64_t>(sealed.files.size()) > bounds.files) {
    return error(error_code::resource_exhausted,
                 "the artefact has more than " + std::to_string(bounds.files) + " files");
  }
  std::int64_t total = 0;
  const file_entry* before = nullptr;
  for (const auto& one : sealed.files) {
    if (!is_clean_path(one.path)) {
      return refuse(one.path.substr(0, 64), "is not a clean relative path");
    }
    if (one.size_bytes < 0 || one.size_bytes > bounds.file_bytes ||
        total > bounds.total_bytes - one.size_bytes) {
      return error(error_code::resource_exhausted,
                   "artefact entry '" + one.path + "' goes past the limit on sizes");
    }
    total += one.size_bytes;
    if (before != nullptr && before->path == one.path)
      return refuse(one.path, "stands there twice");
    if (before != nullptr && before->path > one.path) return refuse(one.path, "is out of order");
    before = &one;
  }
  // "a", "a.b", "a/c": what lies beneath a path need not stand right after it.
  for (const auto& one : sealed.files) {
    const auto beneath = one.path + "/";
    const auto next = std::ranges::lower_bound(sealed.files, beneath, {}, &file_entry::path);
    if (next != sealed.files.end() && next->path.starts_with(beneath)) {
      return refuse(one.path, "is a file and a folder");
    }
  }
  return {};
}

/// The files as they come, not yet hashed.
manifest list(const std::vector<file>& files) {
  manifest sealed;
  sealed.files.reserve(files.size());
  for (const auto& one : files) {
    sealed.files.push_back(
        {one.path, one.executable, static_cast<std::int64_t>(one.bytes.size()), ""});
  }
  return sealed;
}

result<manifest> in_order(manifest sealed, const limits& bounds) {
  for (const auto& one : sealed.files) {
    if (printable(one.path) != one.path) {
      return refuse(one.path.substr(0, 64), "has a name that is not UTF-8, or control characters");
    }
  }
  std::ranges::sort(sealed.files, {}, &file_entry::path);
  GERMLINE_TRY(check(sealed, bounds));
  return sealed;
}

}  // namespace

bool is_clean_path(std::string_view path) {
  if (path.empty() || path.size() > 1'024 || path.front() == '/' ||
      path.find('\0') != std::string_view::npos) {
    return false;
  }
  std::size_t at = 0;
  while (at <= path.size()) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

std::int64_t manifest::total_bytes() const {
  std::int64_t total = 0;
  for (const auto& one : files) total += one.size_bytes;
  return total;
}

std::string to_json(const manifest& sealed) {
  auto files = json::array();
  for (const auto& one : sealed.files) {
    files.push_back({{"mode", one.executable ? "0755" : "0644"},
                     {"path", one.path},
                     {"sha256", one.sha256},
                     {"size", one.size_bytes}});
  }
  return json{{"files", files}, {"schema", 1}}.dump(-1, ' ', true, json::error_handler_t::replace);
}

result<manifest> parse_manifest(std::string_view text, const limits& bounds) {
  constexpr std::size_t text_bytes_max = 16 << 20;
  const auto broken = [](const std::string& why) {
    return error(error_code::data_loss, "the artefact's manifest is damaged: " + why);
  };
  if (text.size() > text_bytes_max) return broken("it is larger than 16 MiB");
  const auto read = json::parse(text, nullptr, false);
  if (read.is_discarded() || !read.is_object()) return broken("it is not a JSON object");
  if (read.value("schema", json()) != 1) return broken("its schema is not 1");
  if (!read.contains("files") || !read["files"].is_array()) return broken("it lists no files");
  manifest sealed;
  for (const auto& one : read["files"]) {
    if (!one.is_object() || !one.value("path", json()).is_string() ||
        !one.value("sha256", json()).is_string() ||
        !one.value("size", json()).is_number_integer() ||
        (one.value("mode", json()) != "0755" && one.value("mode", json()) != "0644")) {
      return broken("a file lacks path, mode, size or sha256");
    }
    sealed.files.push_back({one["path"].get<std::string>(), one["mode"] == "0755",
                            one["size"].get<std::int64_t>(), one["sha256"].get<std::string>()});
  }
  GERMLINE_TRY(check(sealed, bounds));
  return sealed;
}

std::string artefact_id(const manifest& sealed) {
  return sha256_hex(to_json(sealed));
}

result<void> check_files(const std::vector<file>& files, const limits& bounds) {
  GERMLINE_TRY(in_order(list(files), bounds));
  return {};
}

result<manifest> seal(const std::vector<file>& files, const limits& bounds) {
  auto sealed = list(files);
  for (std::size_t i = 0; i < files.size(); ++i) {
    sealed.files[i].sha256 = sha256_hex(files[i].bytes);
  }
  return in_order(std::move(sealed), bounds);
}

}  // namespace germline::artefact
