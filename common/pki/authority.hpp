// authority: the certificate authority of a fleet, in a folder: issues certificates for workers,
// people and the coordinator, makes join tokens and redeems them, revokes, and changes its own key
// while old certificates go on. What a coordinator serves TLS with stands in the folder's `server`.
// The folder, 0700 and its owner's, is all that it owns; `germline pki` and a running coordinator
// may work in it at the same time, one operation after the other. Any thread; blocks on the disk.
//
//   ca.crt, ca.key       whom a fleet believes (during a rotation the former one too), and its key
//   ca.key.next          while a rotation begins: the next key, which signs nothing yet
//   token.key            authenticates join tokens
//   certificates.jsonl   what was issued and revoked
//   server/              the coordinator's credentials
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/pki/certificate_log.hpp"
#include "common/pki/credentials.hpp"
#include "common/pki/join_token.hpp"

namespace germline::pki {

/// How long certificates hold. A worker renews its own long before.
inline constexpr std::int64_t day_ms = std::int64_t{24} * 60 * 60 * 1'000;
inline constexpr std::int64_t ca_days = 3'650;
inline constexpr std::int64_t coordinator_days = 365;
inline constexpr std::int64_t worker_days = 90;
inline constexpr std::int64_t person_days = 365;
/// The longest time for which a join token may hold.
inline constexpr std::int64_t max_token_ms = 7 * day_ms;

/// A running coordinator looks every second whom to believe.
inline constexpr std::int64_t rotation_settle_ms = 2'500;

/// A certificate that was made for somebody else's key.
struct signed_certificate {
  std::string certificate_pem;
  std::string ca_pem;
  identity whose;
};

class authority {
 public:
  /// A new one, with the coordinator's certificate. What was cut short is finished.
  /// already_exists: there is one in the folder. data_loss: there was one, and its key is lost.
  static result<std::unique_ptr<authority>> make(const std::string& folder, const clock& time);
  /// not_found: there is none; the message says how one is made. data_loss: a part of it is lost.
  static result<std::unique_ptr<authority>> open(const std::string& folder, const clock& time);

  /// A key and its certificate. `days` 0: as long as is usual for the role.
  result<credentials> issue(const identity& whose, std::int64_t days);

  /// A token of this role, for `ttl_ms`. invalid_argument: no such name, or too long a time.
  result<std::string> make_token(role who, const std::string& name, bool reusable,
                                 std::int64_t ttl_ms);
  /// For who holds a token. A worker's name is made here. permission_denied: the token is not to be
  /// believed, over, or was used.
  result<signed_certificate> redeem(std::string_view token, std::string_view request_pem);
  /// Another one for who has one already.
  result<signed_certificate> renew(const identity& whose, std::string_view request_pem);

  /// What can be revoked, and is named so, or by a unique beginning: a holder's name, a serial, the
  /// id of a token. As given where it is none. invalid_argument names those that it fits.
  result<std::string> revocable(const std::string& given);
  /// Revokes every certificate that is not over, by its serial or by its holder's name. not_found:
  /// there is none. failed_precondition: it is a coordinator's, of which nobody would know.
  result<std::vector<certificate_entry>> revoke(const std::string& name_or_serial,
                                                const std::string& why);
  /// The same for a certificate that nobody was given, of whatever role.
  result<void> withdraw(const std::string& serial, const std::string& why);
  /// Takes a token back, by its text or its id: nobody joins with it any more. Who has joined
  /// stays. Returns the id. not_found: no such token was made here.
  result<std::string> revoke_token(const std::string& token_or_id, const std::string& why);
  result<std::vector<token_entry>> tokens() { return log_.tokens(); }
  result<bool> is_revoked(const std::string& serial) { return log_.is_revoked(serial); }
  /// Whether there is a record of having issued it, to this holder.
  result<bool> has_issued(const certificate_facts& facts) { return log_.has_issued(facts); }
  result<std::vector<certificate_entry>> certificates() { return log_.entries(); }

  /// Makes a new key, with which it signs from now on; certificates of the former one go on, and so
  /// does the coordinator's, until the rotation is finished. The new key is believed `settle_ms`
  /// before it signs, for a coordinator to have read that: rotation_settle_ms where one may run.
  /// Cut short, it is taken up by beginning again. failed_precondition: one goes on.
  result<void> begin_rotation(std::int64_t settle_ms);
  /// The former key is not believed any more. failed_precondition names who has no certificate of
  /// the new one yet, unless `leave_behind`.
  result<void> finish_rotation(bool leave_behind);
  result<bool> is_rotating();
  /// The next key signs nothing yet: begin_rotation is at work, or was cut short.
  bool is_beginning() const;

  /// Renews the coordinator's certificate when less than a third of its time is left, and makes it
  /// where it is missing. Lets the coordinator believe all whom the authority believes.
  result<void> keep_server_certificate();
  /// The ids of the keys that are believed now, as `issuer_key` names them.
  result<std::set<std::string>> believed_keys() const;
  /// Whom to believe now; whose key signs stands first.
  result<std::string> ca_pem() const;
  std::string server_folder() const { return folder_ + "/server"; }

 private:
  struct signer {
    private_key key;
    std::string pem;  // of the certificate that is the key's
    std::string key_id;
    std::string bundle;  // of all whom to believe, `pem` first
  };
  authority(std::string folder, const clock& time)
      : folder_(std::move(folder)), time_(time), log_(log_path()) {}
  std::string log_path() const { return folder_ + "/certificates.jsonl"; }
  std::string ca_path() const { return folder_ + "/ca.crt"; }
  std::string next_key_path() const { return folder_ + "/ca.key.next"; }
  result<void> check_unused() const;
  result<void> found();
  result<std::string> make_own(const private_key& key) const;
  result<signer> current_signer() const;
  result<signed_certificate> certify(const signer& by, const identity& whose,
                                     std::string_view request_pem, std::int64_t days,
                                     const std::string& token);
  result<void> write_server_certificate(const signer& by);
  result<bool> share_bundle();
  result<void> announce_next_key();
  result<std::vector<std::string>> left_behind(const std::string& key_id);

  const std::string folder_;
  const clock& time_;
  certificate_log log_;
};

}  // namespace germline::pki
