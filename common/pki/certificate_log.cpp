#include "common/pki/certificate_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/unique_fd.hpp"

namespace germline::pki {
namespace {

using nlohmann::json;

std::string text_in(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number_in(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

/// Without the log nobody knows what was revoked, and which tokens were used.
error cannot_open(const std::string& path, int why) {
  if (why != ENOENT) return errno_error("opening " + path, why);
  const auto folder = std::filesystem::path(path).parent_path().string();
  return {error_code::data_loss,
          path +
              " is missing, and with it what this authority has issued and revoked: nothing is "
              "taken from anybody before it is back. Bring it back from a copy; where there is "
              "none, move " +
              folder + " away: then a new authority can be made, which all have to join anew"};
}

}  // namespace

result<void> certificate_log::append(const std::string& line) {
  const unique_fd file(::open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (!file) return cannot_open(path_, errno);
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return errno_error("opening " + path_, errno);
  // A line that a crash cut off was never answered for.
  char last = '\n';
  if (found.st_size > 0 && ::pread(file.get(), &last, 1, found.st_size - 1) != 1) {
    return errno_error("reading " + path_, errno);
  }
  const auto text = (last == '\n' ? "" : "\n") + line + "\n";
  const auto wrote = ::write(file.get(), text.data(), text.size());
  if (wrote != static_cast<ssize_t>(text.size())) {
    return errno_error("writing " + path_, wrote < 0 ? errno : ENOSPC);
  }
  if (::fsync(file.get()) != 0) return errno_error("syncing " + path_, errno);
  return {};
}

result<void> certificate_log::add_issued(const certificate_entry& entry) {
  const json line = {{"event", "issued"},
                     {"at_ms", entry.issued_ms},
                     {"serial", entry.facts.serial},
                     {"role", std::string(to_string(entry.facts.whose.who))},
                     {"name", entry.facts.whose.name},
                     {"issuer_key", entry.facts.issuer_key},
                     {"not_before_ms", entry.facts.not_before_ms},
                     {"not_after_ms", entry.facts.not_after_ms},
                     {"token", entry.token}};
  return append(line.dump());
}

result<void> certificate_log::add_revoked(const std::string& serial, std::int64_t now_ms,
                                          const std::string& why) {
  const json line = {{"event", "revoked"}, {"at_ms", now_ms}, {"serial", serial}, {"why", why}};
  return append(line.dump(-1, ' ', false, json::error_handler_t::replace));
}

result<void> certificate_log::add_token(const token_entry& entry, std::int64_t now_ms) {
  const json line = {{"event", "token"},
                     {"at_ms", now_ms},
                     {"token", entry.id},
                     {"role", std::string(to_string(entry.whose.who))},
                     {"name", entry.whose.name},
                     {"reusable", entry.reusable ? 1 : 0},
                     {"expires_ms", entry.expires_ms}};
  return append(line.dump());
}

result<void> certificate_log::add_token_revoked(const std::string& token, std::int64_t now_ms,
                                                const std::string& why) {
  const json line = {{"event", "token_revoked"}, {"at_ms", now_ms}, {"token", token}, {"why", why}};
  return append(line.dump(-1, ' ', false, json::error_handler_t::replace));
}

void certificate_log::revoke_token(const std::string& token, std::int64_t at_ms) {
  revoked_tokens_.insert(token);
  for (auto& made : tokens_) {
    if (made.id == token) made.revoked_ms = at_ms;
  }
}

result<void> certificate_log::take(const std::string& line) {
  const auto read = json::parse(line, nullptr, false);
  const auto event = read.is_object() ? text_in(read, "event") : "";
  if (event == "revoked") {
    const auto serial = text_in(read, "serial");
    revoked_.insert(serial);
    if (const auto found = by_serial_.find(serial); found != by_serial_.end()) {
      entries_[found->second].revoked_ms = number_in(read, "at_ms");
      entries_[found->second].why = text_in(read, "why");
    }
    return {};
  }
  if (event == "token_revoked") {
    revoke_token(text_in(read, "token"), number_in(read, "at_ms"));
    return {};
  }
  if (event == "token") {
    token_entry token;
    token.id = text_in(read, "token");
    GERMLINE_TRY_ASSIGN(token.whose.who, role_of(text_in(read, "role")));
    token.whose.name = text_in(read, "name");
    token.reusable = number_in(read, "reusable") != 0;
    token.expires_ms = number_in(read, "expires_ms");
    tokens_.push_back(std::move(token));
    return {};
  }
  if (event != "issued") {
    return error(error_code::data_loss, "'" + line.substr(0, 80) + "' is no entry");
  }
  certificate_entry entry;
  GERMLINE_TRY_ASSIGN(entry.facts.whose.who, role_of(text_in(read, "role")));
  entry.facts.whose.name = text_in(read, "name");
  entry.facts.serial = text_in(read, "serial");
  entry.facts.issuer_key = text_in(read, "issuer_key");
  entry.facts.not_before_ms = number_in(read, "not_before_ms");
  entry.facts.not_after_ms = number_in(read, "not_after_ms");
  entry.issued_ms = number_in(read, "at_ms");
  entry.token = text_in(read, "token");
  if (!entry.token.empty()) used_tokens_.insert(entry.token);
  by_serial_[entry.facts.serial] = entries_.size();
  entries_.push_back(std::move(entry));
  return {};
}

result<void> certificate_log::refresh() {
  const unique_fd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return cannot_open(path_, errno);
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return errno_error("opening " + path_, errno);
  if (found.st_size == read_bytes_) return {};
  if (found.st_size < read_bytes_) {
    return error(error_code::data_loss, path_ + " is shorter than it was");
  }
  std::string added(static_cast<std::size_t>(found.st_size - read_bytes_), '\0');
  const auto got = ::pread(file.get(), added.data(), added.size(), read_bytes_);
  if (got < 0) return errno_error("reading " + path_, errno);
  added.resize(static_cast<std::size_t>(got));
  // A last line without an end is being written, or was cut off by a crash.
  for (auto end = added.find('\n'); end != std::string::npos; end = added.find('\n')) {
    const auto line = added.substr(0, end);
    const bool is_whole = line.ends_with('}');
    if (is_whole) {
      if (const auto taken = take(line); !taken) return taken.error().within(path_);
    }
    added.erase(0, end + 1);
    read_bytes_ += static_cast<std::int64_t>(end) + 1;
  }
  return {};
}

result<void> certificate_log::check() {
  const std::scoped_lock lock(mutex_);
  return refresh();
}

result<std::vector<certificate_entry>> certificate_log::entries() {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  return entries_;
}

result<bool> certificate_log::is_revoked(const std::string& serial) {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  return revoked_.contains(serial);
}

result<bool> certificate_log::is_token_used(const std::string& token) {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  return used_tokens_.contains(token);
}

result<bool> certificate_log::has_made(const std::string& token) {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  return std::ranges::any_of(tokens_, [&](const auto& each) { return each.id == token; });
}

result<bool> certificate_log::is_token_revoked(const std::string& token) {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  return revoked_tokens_.contains(token);
}

result<bool> certificate_log::has_issued(const certificate_facts& facts) {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  const auto found = by_serial_.find(facts.serial);
  if (found == by_serial_.end()) return false;
  const auto& known = entries_[found->second].facts;
  return known.whose.who == facts.whose.who && known.whose.name == facts.whose.name;
}

result<std::vector<token_entry>> certificate_log::tokens() {
  const std::scoped_lock lock(mutex_);
  GERMLINE_TRY(refresh());
  return tokens_;
}

}  // namespace germline::pki
