// certificate_log: what an authority has issued and revoked, and tokens, as lines of JSON in one
// file that only grows. Other processes may append too: each reading looks whether the file has
// changed. Who founds an authority makes the file, empty: one that is missing later is lost, and
// each call says so. Not the authority: it keeps books and signs nothing. Any thread; blocks on the
// disk.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/pki/certificate.hpp"
#include "common/result.hpp"

namespace germline::pki {

struct certificate_entry {
  certificate_facts facts;
  std::int64_t issued_ms = 0;
  std::string token;            // the id of the join token that it was issued for, or empty
  std::int64_t revoked_ms = 0;  // 0: it is not
  std::string why;              // it was revoked
};

/// A join token that was made; of its text only the id is kept.
struct token_entry {
  std::string id;
  identity whose;  // whom it is for
  bool reusable = false;
  std::int64_t expires_ms = 0;
  std::int64_t revoked_ms = 0;  // 0: it is not
};

class certificate_log {
 public:
  explicit certificate_log(std::string path) : path_(std::move(path)) {}

  result<void> add_issued(const certificate_entry& entry);
  result<void> add_revoked(const std::string& serial, std::int64_t now_ms, const std::string& why);

  result<void> add_token(const token_entry& entry, std::int64_t now_ms);
  result<void> add_token_revoked(const std::string& token, std::int64_t now_ms,
                                 const std::string& why);

  /// data_loss: the file is missing, or damaged.
  result<void> check();
  /// In the order of issue.
  result<std::vector<certificate_entry>> entries();
  /// An unreadable log is an error: what may be revoked is not to be believed.
  result<bool> is_revoked(const std::string& serial);
  /// This serial number to this holder.
  result<bool> has_issued(const certificate_facts& facts);
  /// Whether it was made by this authority, as far as the log goes back.
  result<bool> has_made(const std::string& token);
  result<bool> is_token_used(const std::string& token);
  result<bool> is_token_revoked(const std::string& token);
  /// In the order of making.
  result<std::vector<token_entry>> tokens();

 private:
  result<void> append(const std::string& line);
  result<void> refresh();
  result<void> take(const std::string& line);
  void revoke_token(const std::string& token, std::int64_t at_ms);

  const std::string path_;
  std::mutex mutex_;
  std::int64_t read_bytes_ = 0;  // how much of the file is in what follows
  std::vector<certificate_entry> entries_;
  std::map<std::string, std::size_t> by_serial_;
  std::set<std::string> revoked_;
  std::set<std::string> used_tokens_;
  std::set<std::string> revoked_tokens_;
  std::vector<token_entry> tokens_;
};

}  // namespace germline::pki
