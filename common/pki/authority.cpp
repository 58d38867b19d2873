#include "common/pki/authority.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <ranges>
#include <thread>

#include "common/ids.hpp"
#include "common/random.hpp"
#include "common/unique_fd.hpp"

namespace germline::pki {
namespace {

/// Clocks of other machines may be behind by as much.
constexpr std::int64_t skew_ms = 5 * 60'000;

std::int64_t usual_days(role who) {
  switch (who) {
    case role::coordinator:
      return coordinator_days;
    case role::worker:
      return worker_days;
    case role::person:
      return person_days;
  }
  return 0;
}

/// The folder is one operation's at a time, over all processes.
result<unique_fd> take(const std::string& folder) {
  unique_fd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return errno_error("opening " + folder, errno);
  if (::flock(lock.get(), LOCK_EX) != 0) return errno_error("locking " + folder, errno);
  return lock;
}

/// By ca.key, which is written last. A folder that this account may not look into is an error, and
/// not one without an authority.
result<bool> has_authority(const std::string& folder) {
  std::error_code failed;
  const bool there = std::filesystem::exists(folder + "/ca.key", failed);
  if (failed) return errno_error("looking for an authority in " + folder, failed.value());
  return there;
}

}  // namespace

result<std::unique_ptr<authority>> authority::make(const std::string& folder, const clock& time) {
  GERMLINE_TRY(make_private_folder(folder));
  std::unique_ptr<authority> made(new authority(folder, time));
  {
    GERMLINE_TRY_ASSIGN(const auto lock, take(folder));
    GERMLINE_TRY_ASSIGN(const bool there, has_authority(folder));
    if (!there) {
      GERMLINE_TRY(made->found());
      return made;
    }
  }
  const auto server = read_credentials(made->server_folder());
  if (server || server.error().code() != error_code::not_found) {
    return error(error_code::already_exists, "there is an authority in " + folder + " already");
  }
  // What it is served with was never written, or is lost: then it is made now.
  GERMLINE_TRY(made->keep_server_certificate());
  return made;
}

result<std::unique_ptr<authority>> authority::open(const std::string& folder, const clock& time) {
  GERMLINE_TRY_ASSIGN(const bool there, has_authority(folder));
  if (!there) {
    return error(error_code::not_found,
                 "there is no authority in " + folder +
                     ": a coordinator with --tls-listen makes one, or `germline pki init`");
  }
  std::unique_ptr<authority> opened(new authority(folder, time));
  GERMLINE_TRY(opened->current_signer());
  GERMLINE_TRY(opened->log_.check());
  return opened;
}

/// Whether what is in the folder without a key may be written over: what a founding that was cut
/// short has left may, and what somebody relies on may not.
result<void> authority::check_unused() const {
  std::error_code failed;
  if (!std::filesystem::exists(log_path(), failed)) return {};
  certificate_log former(log_path());
  GERMLINE_TRY_ASSIGN(const auto tokens, former.tokens());
  GERMLINE_TRY_ASSIGN(const auto all, former.entries());
  const bool is_used = !tokens.empty() || std::ranges::any_of(all, [](const auto& each) {
    return each.facts.whose.who != role::coordinator;
  });
  if (!is_used) return {};
  return error(error_code::data_loss,
               folder_ +
                   "/ca.key is missing, and certificates were issued with it. Bring it back from a "
                   "copy; where there is none, move " +
                   folder_ +
                   " away: then a new authority can be made, which all have to join anew");
}

/// The key comes last, since by it the authority is there: what is cut short before is begun anew.
result<void> authority::found() {
  GERMLINE_TRY(check_unused());
  GERMLINE_TRY_ASSIGN(const std::string token_key, make_serial());
  GERMLINE_TRY_ASSIGN(const std::string more, make_serial());
  GERMLINE_TRY(write_file(folder_ + "/token.key", token_key + more, 0600));
  GERMLINE_TRY(write_file(log_path(), "", 0600));
  GERMLINE_TRY_ASSIGN(auto key, private_key::generate());
  GERMLINE_TRY_ASSIGN(const std::string key_pem, key.to_pem());
  GERMLINE_TRY_ASSIGN(const std::string pem, make_own(key));
  GERMLINE_TRY_ASSIGN(auto key_id, key_id_of(pem));
  GERMLINE_TRY(write_file(ca_path(), pem, 0644));
  GERMLINE_TRY(write_server_certificate({std::move(key), pem, std::move(key_id), pem}));
  return write_file(folder_ + "/ca.key", key_pem, 0600);
}

/// A certificate for a key of the authority's own.
result<std::string> authority::make_own(const private_key& key) const {
  GERMLINE_TRY_ASSIGN(const std::string serial, make_serial());
  const auto now = time_.utc_ms();
  return make_ca(key, "Germline " + serial.substr(0, 8), {now - skew_ms, now + ca_days * day_ms});
}

result<std::string> authority::ca_pem() const {
  GERMLINE_TRY_ASSIGN(auto by, current_signer());
  return std::move(by.bundle);
}

/// By the key: so it is the former one until the very moment at which the next key is in its place.
result<authority::signer> authority::current_signer() const {
  GERMLINE_TRY_ASSIGN(const std::string key_pem, read_file(folder_ + "/ca.key"));
  GERMLINE_TRY_ASSIGN(auto key, private_key::from_pem(key_pem));
  GERMLINE_TRY_ASSIGN(const std::string bundle, read_file(ca_path()));
  std::string pem;
  std::string others;
  for (const auto& each : split_bundle(bundle)) {
    auto& place = pem.empty() && check_is_of(each, key) ? pem : others;
    place += each;
  }
  if (pem.empty()) {
    return error(error_code::data_loss, "no certificate in " + ca_path() + " is of " + folder_ +
                                            "/ca.key: one of the two is not what it was");
  }
  GERMLINE_TRY_ASSIGN(auto key_id, key_id_of(pem));
  auto all = pem + others;
  return signer{std::move(key), std::move(pem), std::move(key_id), std::move(all)};
}

result<signed_certificate> authority::certify(const signer& by, const identity& whose,
                                              std::string_view request_pem, std::int64_t days,
                                              const std::string& token) {
  GERMLINE_TRY_ASSIGN(const std::string serial, make_serial());
  const auto now = time_.utc_ms();
  const auto lasts = days == 0 ? usual_days(whose.who) : days;
  signed_certificate made;
  made.whose = whose;
  GERMLINE_TRY_ASSIGN(
      made.certificate_pem,
      sign(request_pem, whose, serial, {now - skew_ms, now + lasts * day_ms}, by.pem, by.key));
  made.ca_pem = by.bundle;
  certificate_entry entry;
  GERMLINE_TRY_ASSIGN(entry.facts, read_certificate(made.certificate_pem));
  entry.issued_ms = now;
  entry.token = token;
  GERMLINE_TRY(log_.add_issued(entry));
  return made;
}

result<credentials> authority::issue(const identity& whose, std::int64_t days) {
  if (whose.who != role::coordinator) GERMLINE_TRY(check_name(whose.name));
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  GERMLINE_TRY_ASSIGN(const auto key, private_key::generate());
  GERMLINE_TRY_ASSIGN(const std::string request, key.make_request());
  GERMLINE_TRY_ASSIGN(const auto by, current_signer());
  GERMLINE_TRY_ASSIGN(const auto made, certify(by, whose, request, days, ""));
  credentials out{made.ca_pem, made.certificate_pem, ""};
  GERMLINE_TRY_ASSIGN(out.key_pem, key.to_pem());
  return out;
}

result<std::string> authority::make_token(role who, const std::string& name, bool reusable,
                                          std::int64_t ttl_ms) {
  if (who == role::coordinator) {
    return error(error_code::invalid_argument, "a token is for a worker or a person");
  }
  if (who == role::person) GERMLINE_TRY(check_name(name));
  if (who == role::worker && !name.empty()) {
    return error(error_code::invalid_argument, "a worker's name is made when it joins");
  }
  if (who == role::person && reusable) {
    return error(error_code::invalid_argument, "a person's token is used once");
  }
  if (ttl_ms < 1'000 || ttl_ms > max_token_ms) {
    return error(error_code::invalid_argument, "a token holds for 1 second to 7 days");
  }
  GERMLINE_TRY_ASSIGN(const auto server, read_credentials(server_folder()));
  GERMLINE_TRY_ASSIGN(const std::string bundle, read_file(ca_path()));
  GERMLINE_TRY_ASSIGN(const std::string key, read_file(folder_ + "/token.key"));
  join_token token;
  GERMLINE_TRY_ASSIGN(token.id, make_token_id());
  token.who = who;
  token.name = name;
  token.reusable = reusable;
  token.expires_ms = (time_.utc_ms() + ttl_ms + 999) / 1'000 * 1'000;
  for (const auto& pem : split_bundle(bundle)) {
    GERMLINE_TRY_ASSIGN(const std::string key_id, key_id_of(pem));
    if (key_id != server.facts.issuer_key) continue;
    GERMLINE_TRY_ASSIGN(token.ca_fingerprint, fingerprint(pem));
  }
  if (token.ca_fingerprint.empty()) {
    return error(error_code::data_loss, "the certificate in " + server_folder() +
                                            " was not signed by the authority in " + folder_);
  }
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  GERMLINE_TRY(
      log_.add_token({token.id, {who, name}, reusable, token.expires_ms, 0}, time_.utc_ms()));
  return write_token(token, key);
}

result<signed_certificate> authority::redeem(std::string_view token, std::string_view request_pem) {
  GERMLINE_TRY_ASSIGN(const std::string key, read_file(folder_ + "/token.key"));
  GERMLINE_TRY_ASSIGN(const auto said, verify_token(token, key, time_.utc_ms()));
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  // Else one that was used could be used again where the log was emptied.
  GERMLINE_TRY_ASSIGN(const bool known, log_.has_made(said.id));
  if (!known) {
    return error(error_code::permission_denied,
                 "there is no record of this join token; `germline pki token` (for a person with "
                 "--role person) makes another");
  }
  GERMLINE_TRY_ASSIGN(const bool revoked, log_.is_token_revoked(said.id));
  if (revoked) {
    return error(error_code::permission_denied,
                 "this join token is revoked; `germline pki token` (for a person with --role "
                 "person) makes another");
  }
  if (!said.reusable) {
    GERMLINE_TRY_ASSIGN(const bool used, log_.is_token_used(said.id));
    if (used) {
      return error(error_code::permission_denied,
                   "this join token was used already; `germline pki token` (for a person with "
                   "--role person) makes another");
    }
  }
  identity whose{said.who, said.name};
  if (whose.who == role::worker) {
    system_random random;
    whose.name = "wrk_" + make_uuid7_hex(time_, random);
  }
  GERMLINE_TRY_ASSIGN(const auto by, current_signer());
  return certify(by, whose, request_pem, 0, said.id);
}

result<signed_certificate> authority::renew(const identity& whose, std::string_view request_pem) {
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  GERMLINE_TRY_ASSIGN(const auto by, current_signer());
  return certify(by, whose, request_pem, 0, "");
}

result<std::string> authority::revocable(const std::string& given) {
  constexpr std::size_t most_named = 8;
  if (is_token_text(given)) return given;
  GERMLINE_TRY_ASSIGN(const auto certificates, log_.entries());
  GERMLINE_TRY_ASSIGN(const auto tokens, log_.tokens());
  const auto now = time_.utc_ms();
  std::set<std::string> fitting;
  for (const auto& [facts, issued_ms, token, revoked_ms, why] : certificates) {
    if (facts.whose.name == given || facts.serial == given) return given;
    if (revoked_ms != 0 || facts.not_after_ms <= now) continue;
    if (facts.whose.name.starts_with(given)) {
      fitting.insert(facts.whose.name);
    } else if (facts.serial.starts_with(given)) {
      fitting.insert(facts.serial);
    }
  }
  for (const auto& each : tokens) {
    if (each.id == given) return given;
    const bool open = each.revoked_ms == 0 && each.expires_ms > now;
    if (open && each.id.starts_with(given)) fitting.insert(each.id);
  }
  if (fitting.empty()) return given;
  if (fitting.size() == 1) return *fitting.begin();
  std::string several = "'" + given + "' fits several; name one of them:";
  for (const auto& each : fitting | std::views::take(most_named)) several += "\n  " + each;
  if (fitting.size() > most_named) several += "\n  and more";
  return error(error_code::invalid_argument, several);
}

result<std::vector<certificate_entry>> authority::revoke(const std::string& name_or_serial,
                                                         const std::string& why) {
  bool is_coordinators = false;
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  GERMLINE_TRY_ASSIGN(const auto all, log_.entries());
  const auto now = time_.utc_ms();
  std::vector<certificate_entry> revoked;
  for (const auto& entry : all) {
    const bool meant =
        entry.facts.serial == name_or_serial || entry.facts.whose.name == name_or_serial;
    if (!meant || entry.revoked_ms != 0 || entry.facts.not_after_ms <= now) continue;
    if (entry.facts.whose.who == role::coordinator) {
      is_coordinators = true;
      continue;
    }
    GERMLINE_TRY(log_.add_revoked(entry.facts.serial, now, why));
    revoked.push_back(entry);
    revoked.back().revoked_ms = now;
    revoked.back().why = why;
  }
  if (!revoked.empty()) return revoked;
  if (is_coordinators) {
    return error(error_code::failed_precondition,
                 "who dials a coordinator does not ask whether its certificate is revoked, so that "
                 "would end nothing. Where its key is in other hands, `germline pki rotate` and "
                 "`germline pki rotate --finish` give all of them new ones");
  }
  return error(error_code::not_found,
               "no certificate that still holds is of '" + name_or_serial +
                   "' or has that serial; `germline pki list --all` has all");
}

result<void> authority::withdraw(const std::string& serial, const std::string& why) {
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  return log_.add_revoked(serial, time_.utc_ms(), why);
}

result<std::string> authority::revoke_token(const std::string& token_or_id,
                                            const std::string& why) {
  auto id = token_or_id;
  if (is_token_text(token_or_id)) {
    GERMLINE_TRY_ASSIGN(const std::string key, read_file(folder_ + "/token.key"));
    GERMLINE_TRY_ASSIGN(const auto said,
                        verify_token(token_or_id, key, 0));  // also one that is over
    id = said.id;
  }
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  GERMLINE_TRY_ASSIGN(const auto made, log_.tokens());
  const bool known = std::ranges::any_of(made, [&](const auto& each) { return each.id == id; });
  if (!known && id == token_or_id) {
    return error(error_code::not_found, "no join token has the id '" + id + "'");
  }
  GERMLINE_TRY(log_.add_token_revoked(id, time_.utc_ms(), why));
  return id;
}

result<std::set<std::string>> authority::believed_keys() const {
  GERMLINE_TRY_ASSIGN(const std::string bundle, read_file(ca_path()));
  return key_ids_of(bundle);
}

result<void> authority::write_server_certificate(const signer& by) {
  const credential_paths paths(server_folder());
  GERMLINE_TRY(make_private_folder(server_folder()));
  // The key stays: so certificate and key never differ for who reads both in between.
  std::string key_pem;
  if (auto known = read_file(paths.key)) {
    key_pem = std::move(*known);
  } else if (known.error().code() != error_code::not_found) {
    return known.error();
  }
  if (key_pem.empty()) {
    GERMLINE_TRY_ASSIGN(const auto fresh, private_key::generate());
    GERMLINE_TRY_ASSIGN(key_pem, fresh.to_pem());
  }
  GERMLINE_TRY_ASSIGN(const auto key, private_key::from_pem(key_pem));
  GERMLINE_TRY_ASSIGN(const std::string request, key.make_request());
  GERMLINE_TRY_ASSIGN(
      const auto made,
      certify(by, {role::coordinator, std::string(coordinator_host)}, request, 0, ""));
  // With the authority's own, for those who know but its fingerprint.
  return write_credentials(server_folder(), {made.ca_pem, made.certificate_pem + by.pem, key_pem});
}

/// What is served with believes whom the authority believes; returns whether it did not yet.
result<bool> authority::share_bundle() {
  GERMLINE_TRY_ASSIGN(const std::string bundle, read_file(ca_path()));
  GERMLINE_TRY_ASSIGN(const auto believed, key_ids_of(bundle));
  const auto path = credential_paths(server_folder()).ca;
  GERMLINE_TRY_ASSIGN(const std::string shared, read_file(path));
  if (const auto keys = key_ids_of(shared); keys && *keys == believed) return false;
  GERMLINE_TRY(write_file(path, bundle, 0644));
  return true;
}

result<void> authority::keep_server_certificate() {
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  const auto server = read_credentials(server_folder());
  if (!server && server.error().code() != error_code::not_found) return server.error();
  if (server) {
    GERMLINE_TRY(share_bundle());
    const auto whole = server->facts.not_after_ms - server->facts.not_before_ms;
    if (server->facts.not_after_ms - time_.utc_ms() > whole / 3) return {};
    GERMLINE_TRY_ASSIGN(const bool rotating, is_rotating());
    // During a rotation it is the former key's, which signs no more.
    if (rotating) return {};
  }
  GERMLINE_TRY_ASSIGN(const auto by, current_signer());
  return write_server_certificate(by);
}

/// While the next key is only announced, the former one signs and its certificate stands second.
result<bool> authority::is_rotating() {
  GERMLINE_TRY_ASSIGN(const auto server, read_credentials(server_folder()));
  GERMLINE_TRY_ASSIGN(const auto by, current_signer());
  if (server.facts.issuer_key != by.key_id) return true;
  GERMLINE_TRY_ASSIGN(const std::string bundle, read_file(ca_path()));
  GERMLINE_TRY_ASSIGN(const std::string first, key_id_of(bundle));
  return first == by.key_id && split_bundle(bundle).size() > 1;
}

bool authority::is_beginning() const {
  std::error_code failed;
  return std::filesystem::exists(next_key_path(), failed);
}

/// Lets the next key be believed beside the present one. Done again it goes on where it was cut
/// short, with the same key.
result<void> authority::announce_next_key() {
  std::string key_pem;
  if (auto known = read_file(next_key_path())) {
    key_pem = std::move(*known);
  } else if (known.error().code() != error_code::not_found) {
    return known.error();
  } else {
    GERMLINE_TRY_ASSIGN(const auto fresh, private_key::generate());
    GERMLINE_TRY_ASSIGN(key_pem, fresh.to_pem());
    GERMLINE_TRY(write_file(next_key_path(), key_pem, 0600));
  }
  GERMLINE_TRY_ASSIGN(const auto key, private_key::from_pem(key_pem));
  GERMLINE_TRY_ASSIGN(const auto by, current_signer());
  std::string pem;
  for (const auto& each : split_bundle(by.bundle)) {
    if (check_is_of(each, key)) pem = each;
  }
  if (pem.empty()) {
    GERMLINE_TRY_ASSIGN(pem, make_own(key));
  }
  GERMLINE_TRY(write_file(ca_path(), pem + by.pem, 0644));
  return write_file(credential_paths(server_folder()).ca, pem + by.pem, 0644);
}

result<void> authority::begin_rotation(std::int64_t settle_ms) {
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  GERMLINE_TRY_ASSIGN(const bool rotating, is_rotating());
  if (rotating) {
    GERMLINE_TRY_ASSIGN(const bool was_cut_short, share_bundle());
    if (was_cut_short) return {};
    return error(error_code::failed_precondition,
                 "a rotation goes on; `germline pki rotate --finish` ends it");
  }
  GERMLINE_TRY(announce_next_key());
  std::this_thread::sleep_for(std::chrono::milliseconds(settle_ms));
  if (std::rename(next_key_path().c_str(), (folder_ + "/ca.key").c_str()) != 0) {
    return errno_error("moving " + next_key_path(), errno);
  }
  if (::fsync(lock.get()) != 0) return errno_error("syncing " + folder_, errno);
  return {};
}

/// Who holds a certificate that is not over and is believed, and none of this key. Who was left
/// behind by a rotation before is not named again.
result<std::vector<std::string>> authority::left_behind(const std::string& key_id) {
  GERMLINE_TRY_ASSIGN(const auto all, log_.entries());
  GERMLINE_TRY_ASSIGN(const auto believed, believed_keys());
  std::map<std::string, bool> has_new;
  for (const auto& entry : all) {
    const auto& whose = entry.facts.whose;
    const bool over = entry.revoked_ms != 0 || entry.facts.not_after_ms <= time_.utc_ms();
    if (over || !believed.contains(entry.facts.issuer_key) || whose.who == role::coordinator)
      continue;
    auto& has = has_new[std::string(to_string(whose.who)) + " " + whose.name];
    has = has || entry.facts.issuer_key == key_id;
  }
  std::vector<std::string> out;
  for (const auto& [name, has] : has_new) {
    if (!has) out.push_back(name);
  }
  return out;
}

result<void> authority::finish_rotation(bool leave_behind) {
  GERMLINE_TRY_ASSIGN(const bool rotating, is_rotating());
  if (!rotating) {
    return error(error_code::failed_precondition,
                 "no rotation goes on; `germline pki rotate` begins one");
  }
  GERMLINE_TRY_ASSIGN(const auto lock, take(folder_));
  GERMLINE_TRY_ASSIGN(const auto by, current_signer());
  GERMLINE_TRY_ASSIGN(const auto behind, left_behind(by.key_id));
  if (!behind.empty() && !leave_behind) {
    std::string names;
    constexpr std::size_t shown = 10;
    for (std::size_t i = 0; i < std::min(behind.size(), shown); ++i) {
      names += (i == 0 ? "" : ", ") + behind[i];
    }
    if (behind.size() > shown) names += " and " + std::to_string(behind.size() - shown) + " more";
    return error(
        error_code::failed_precondition,
        "these have no certificate of the new authority yet: " + names +
            ". Workers that are joined get theirs within ten minutes; people need `germline "
            "pki issue` or a token. With --leave-behind they are cut off");
  }
  // What is served with first, and what says that a rotation goes on last: cut short in between,
  // nobody is told to believe less than the coordinator shows, and it can be finished again.
  GERMLINE_TRY(write_server_certificate(by));
  GERMLINE_TRY(write_file(credential_paths(server_folder()).ca, by.pem, 0644));
  return write_file(ca_path(), by.pem, 0644);
}

}  // namespace germline::pki
