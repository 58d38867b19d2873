#include "cli/commands/certificates.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "cli/client.hpp"
#include "cli/render/render.hpp"
#include "common/enrolment.hpp"
#include "common/grpc_tls.hpp"
#include "common/pki/authority.hpp"
#include "common/text/units.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;
using pki::authority;

/// As named; else where `germline up` has it, or a coordinator that runs alone.
std::string pki_folder(const config& settings) {
  if (const auto& named = settings.get("pki_dir"); !named.empty()) return named;
  const auto& state = settings.get("state_dir");
  std::error_code failed;
  if (!fs::exists(state + "/coordinator", failed) && fs::exists(state + "/record.sqlite", failed)) {
    return state + "/pki";
  }
  return state + "/coordinator/pki";
}

/// An authority that cannot be used by this account is mostly one that root made for a coordinator.
error who_may(const error& failure, const std::string& folder, const config& settings) {
  if (failure.code() == error_code::permission_denied) {
    return {failure.code(), "this account may not use the authority in " + folder + " (" +
                                failure.message() +
                                "): the folder is closed to all but its owner and root. Try the "
                                "same command with sudo"};
  }
  const bool by_default = settings.get("pki_dir").empty();
  if (failure.code() == error_code::not_found && by_default && ::geteuid() != 0) {
    return {failure.code(), failure.message() +
                                ". Without root that is your own state folder: for the authority "
                                "of a coordinator that root started, try the same command with "
                                "sudo, or name its folder by --pki-dir"};
  }
  return failure;
}

/// Runs `act` on the authority that is there, and tells how it failed.
template <class Act>
exit_code with_authority(const session& with, Act act) {
  const auto folder = pki_folder(with.settings);
  const auto home = authority::open(folder, *with.time);
  if (!home) return with.fail(who_may(home.error(), folder, with.settings));
  const result<void> done = act(**home);
  return done ? exit_code::done : with.fail(done.error());
}

std::string date_of(std::int64_t utc_ms) {
  return to_iso8601(utc_ms).substr(0, 10);
}

/// By what it is told whether a certificate is good for anything.
struct present {
  std::int64_t now_ms;
  std::set<std::string> believed;  // keys
};

result<present> present_of(const session& with, const authority& home) {
  GERMLINE_TRY_ASSIGN(auto believed, home.believed_keys());
  return present{with.time->utc_ms(), std::move(believed)};
}

std::string state_of(const pki::certificate_entry& entry, const present& now) {
  if (entry.revoked_ms != 0) return "revoked";
  if (entry.facts.not_after_ms <= now.now_ms) return "over";
  // By a rotation that was finished without it.
  return now.believed.contains(entry.facts.issuer_key) ? "holds" : "left behind";
}

std::string entry_json(const pki::certificate_entry& entry, const present& now) {
  return "{\"role\": " + json_string(pki::to_string(entry.facts.whose.who)) +
         ", \"name\": " + json_string(entry.facts.whose.name) +
         ", \"serial\": " + json_string(entry.facts.serial) +
         ", \"state\": " + json_string(state_of(entry, now)) +
         ", \"issued\": " + json_string(to_iso8601(entry.issued_ms)) +
         ", \"not_after\": " + json_string(to_iso8601(entry.facts.not_after_ms)) +
         ", \"token\": " + json_string(entry.token) + ", \"why\": " + json_string(entry.why) + "}";
}

/// Of tokens that many may use, those with which somebody still can.
std::vector<pki::token_entry> open_tokens(std::vector<pki::token_entry> tokens,
                                          std::int64_t now_ms) {
  std::erase_if(tokens, [&](const auto& each) {
    return !each.reusable || each.revoked_ms != 0 || each.expires_ms <= now_ms;
  });
  return tokens;
}

std::string tokens_json(const std::vector<pki::token_entry>& tokens) {
  std::string text = "[";
  for (const auto& each : tokens) {
    text += (text.size() == 1 ? "" : ", ") + std::string("{\"id\": ") + json_string(each.id) +
            ", \"expires\": " + json_string(to_iso8601(each.expires_ms)) + "}";
  }
  return text + "]";
}

/// `tokens`: reusable ones that are open.
void print(const session& with, const std::vector<pki::certificate_entry>& entries,
           const std::vector<pki::token_entry>& tokens, const present& now) {
  if (with.json) {
    std::string text = "{\"certificates\": [";
    for (std::size_t i = 0; i < entries.size(); ++i) {
      text += (i == 0 ? "\n  " : ",\n  ") + entry_json(entries[i], now);
    }
    return with.data(text + "\n], \"reusable_tokens\": " + tokens_json(tokens) + "}\n");
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& entry : entries) {
    rows.push_back({entry.facts.whose.name, std::string(pki::to_string(entry.facts.whose.who)),
                    state_of(entry, now), date_of(entry.facts.not_after_ms), entry.facts.serial,
                    safe_line(entry.why)});
  }
  with.data(table(with.how, {"NAME", "ROLE", "STATE", "UNTIL", "SERIAL", "WHY"}, rows));
  for (const auto& each : tokens) {
    with.message("germline: the reusable token " + each.id + " lets workers in until " +
                 to_iso8601(each.expires_ms) + "; `germline pki revoke " + each.id + "` ends that");
  }
}

/// A file of settings for who has none yet; what is there is the person's own. An empty `tls_dir`:
/// the credentials are where they are looked for anyway.
result<bool> write_first_config(const std::string& address, const std::string& tls_dir) {
  const fs::path path = config_path(&environment_variable);
  std::error_code failed;
  if (path.empty() || fs::exists(path, failed)) return false;
  GERMLINE_TRY(pki::make_private_folder(path.parent_path().string()));
  auto text = "schema = 1\ncoordinator = " + json_string(address) + "\n";
  if (!tls_dir.empty()) {
    text += "tls_dir = " + json_string(fs::absolute(tls_dir, failed).string()) + "\n";
  }
  GERMLINE_TRY(pki::write_file(path.string(), text, 0644));
  return true;
}

}  // namespace

exit_code run_pki_init(const session& with) {
  const auto folder = pki_folder(with.settings);
  const auto made = authority::make(folder, *with.time);
  if (!made) return with.fail(who_may(made.error(), folder, with.settings));
  const auto bundle = (*made)->ca_pem();
  const auto print_of = bundle ? pki::fingerprint(*bundle) : result<std::string>(bundle.error());
  if (!print_of) return with.fail(print_of.error());
  with.data(with.json ? "{\"folder\": " + json_string(folder) +
                            ", \"fingerprint\": " + json_string(*print_of) + "}\n"
                      : *print_of + "\n");
  with.message("germline: an authority is in " + folder + "; its fingerprint was printed");
  return exit_code::done;
}

exit_code run_pki_token(const session& with, const token_options& options) {
  return with_authority(with, [&](authority& home) -> result<void> {
    GERMLINE_TRY_ASSIGN(const auto who, pki::role_of(options.role));
    GERMLINE_TRY_ASSIGN(const auto ttl_ms, parse_duration_ms(options.ttl));
    GERMLINE_TRY_ASSIGN(const std::string token,
                        home.make_token(who, options.name, options.reusable, ttl_ms));
    GERMLINE_TRY_ASSIGN(const auto said, pki::read_token(token));
    with.data(with.json ? "{\"token\": " + json_string(token) +
                              ", \"id\": " + json_string(said.id) + "}\n"
                        : token + "\n");
    if (with.json) return {};
    const auto times = options.reusable ? "any number of times" : "once";
    with.message(std::string("germline: it may be used ") + times + " within " +
                 format_duration_ms(ttl_ms) + ": " +
                 (who == pki::role::worker ? "germline worker --join HOST:PORT --token-file FILE"
                                           : "germline login HOST:PORT --token-file FILE") +
                 ". `germline pki revoke " + said.id + "` takes it back");
    return {};
  });
}

exit_code run_pki_issue(const session& with, const issue_options& options) {
  return with_authority(with, [&](authority& home) -> result<void> {
    GERMLINE_TRY_ASSIGN(const auto who, pki::role_of(options.role));
    pki::identity whose{who, options.name};
    if (who == pki::role::coordinator) {
      if (!options.name.empty()) {
        return error(error_code::invalid_argument, "a coordinator's certificate needs no NAME");
      }
      whose.name = pki::coordinator_host;
    }
    std::error_code failed;
    if (fs::exists(options.folder + "/tls.key", failed)) {
      return error(error_code::already_exists, "there are credentials in " + options.folder +
                                                   " already; name a folder without any");
    }
    GERMLINE_TRY(pki::make_private_folder(options.folder));
    GERMLINE_TRY_ASSIGN(const auto made, home.issue(whose, options.days.value_or(0)));
    GERMLINE_TRY_ASSIGN(const auto facts, pki::read_certificate(made.certificate_pem));
    if (const auto wrote = pki::write_credentials(options.folder, made); !wrote) {
      // Nobody has it, so nobody is to be shown as having it.
      GERMLINE_TRY(home.withdraw(facts.serial, "could not be written to " + options.folder));
      return wrote.error();
    }
    with.data(with.json ? "{\"folder\": " + json_string(options.folder) +
                              ", \"serial\": " + json_string(facts.serial) + ", \"not_after\": " +
                              json_string(to_iso8601(facts.not_after_ms)) + "}\n"
                        : options.folder + "\n");
    with.message("germline: ca.crt, tls.crt and tls.key hold until " + date_of(facts.not_after_ms));
    return {};
  });
}

exit_code run_pki_list(const session& with, bool all) {
  return with_authority(with, [&](authority& home) -> result<void> {
    GERMLINE_TRY_ASSIGN(auto entries, home.certificates());
    GERMLINE_TRY_ASSIGN(const auto now, present_of(with, home));
    std::erase_if(entries, [&](const auto& entry) {
      const auto state = state_of(entry, now);
      return !all && (state == "over" || state == "revoked");
    });
    GERMLINE_TRY_ASSIGN(auto tokens, home.tokens());
    print(with, entries, open_tokens(std::move(tokens), now.now_ms), now);
    GERMLINE_TRY_ASSIGN(const bool rotating, home.is_rotating());
    if (rotating) {
      with.message("germline: a rotation goes on; `germline pki rotate --finish` ends it");
    }
    if (home.is_beginning()) {
      with.message(
          "germline: a rotation has begun; if it was cut short, `germline pki rotate` takes "
          "it up");
    }
    return {};
  });
}

exit_code run_pki_revoke(const session& with, const std::string& given, const std::string& why) {
  return with_authority(with, [&](authority& home) -> result<void> {
    GERMLINE_TRY_ASSIGN(const std::string what, home.revocable(given));
    const auto token = home.revoke_token(what, why);
    if (token) {
      if (with.json) with.data("{\"token\": " + json_string(*token) + "}\n");
      with.message("germline: nobody joins with the token " + *token +
                   " any more. Who has joined with it stays; `germline pki list --json` tells who, "
                   "and `germline pki revoke NAME` takes a certificate back");
      return {};
    }
    if (token.error().code() != error_code::not_found) return token.error();
    GERMLINE_TRY_ASSIGN(const auto revoked, home.revoke(what, why));
    GERMLINE_TRY_ASSIGN(const auto now, present_of(with, home));
    print(with, revoked, {}, now);
    with.message(
        "germline: from now on nothing is taken from it. What a revoked worker has leased is "
        "leased "
        "again once its lease and the guard have passed, within 25 s");
    return {};
  });
}

exit_code run_pki_rotate(const session& with, bool finish, bool leave_behind) {
  return with_authority(with, [&](authority& home) -> result<void> {
    if (finish) {
      GERMLINE_TRY(home.finish_rotation(leave_behind));
      with.message("germline: the former authority is not believed any more");
      return {};
    }
    GERMLINE_TRY(home.begin_rotation(pki::rotation_settle_ms));
    with.message(
        "germline: a new authority signs from now on, and the former one is still believed. "
        "Workers that are joined fetch their new certificates within ten minutes, people need "
        "`germline pki issue` or a token; then `germline pki rotate --finish`");
    return {};
  });
}

exit_code run_login(const session& with, const login_options& options) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto done = [&]() -> result<void> {
    const auto& token = with.settings.get("worker.join_token");
    if (token.empty()) {
      return error(
          error_code::invalid_argument,
          "--token-file is missing: `germline pki token --role person --name NAME`, beside the "
          "coordinator, prints one");
    }
    const auto folder = tls_folder_of(with.settings);
    if (folder.empty()) {
      return error(error_code::invalid_argument, "this account has no home; name a --tls-dir");
    }
    std::error_code failed;
    if (fs::exists(folder + "/tls.key", failed) && !options.replace) {
      return error(error_code::already_exists,
                   "there are credentials in " + folder +
                       " already; --replace puts the new ones in their place, or name another "
                       "--tls-dir");
    }
    GERMLINE_TRY_ASSIGN(const auto made, enroll(options.address, token, pki::role::person));
    GERMLINE_TRY(pki::write_credentials(folder, made));
    GERMLINE_TRY_ASSIGN(const auto facts, pki::read_certificate(made.certificate_pem));
    const auto address = needs_tls(options.address) ? options.address : "tls:" + options.address;
    GERMLINE_TRY_ASSIGN(const bool configured,
                        write_first_config(address, with.settings.get("tls_dir")));
    with.message("germline: " + facts.whose.name + " may use " + address + " until " +
                 date_of(facts.not_after_ms) + ", with the credentials in " + folder +
                 (configured || address == with.coordinator()
                      ? ""
                      : ". Say --coordinator " + address +
                            ", or put it into config.toml or GERMLINE_COORDINATOR"));
    if (with.json) with.data("{\"name\": " + json_string(facts.whose.name) + "}\n");
    return {};
  }();
  return done ? exit_code::done : with.fail(done.error());
}

}  // namespace germline::cli
