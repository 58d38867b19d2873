// certificates: what `germline pki` and `germline login` do. They work on the authority's folder on
// this machine, and ask no coordinator, but for login. Main thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.hpp"

namespace germline::cli {

exit_code run_pki_init(const session& with);

struct token_options {
  std::string role = "worker";
  std::string name;  // a person's
  std::string ttl = "1h";
  bool reusable = false;
};
/// Prints the token.
exit_code run_pki_token(const session& with, const token_options& options);

struct issue_options {
  std::string role, name, folder;
  std::optional<std::int64_t> days;
};
exit_code run_pki_issue(const session& with, const issue_options& options);

/// With open reusable tokens. `all`: also what is over or revoked.
exit_code run_pki_list(const session& with, bool all);
/// `what`: a name, a serial number, a join token or its id.
exit_code run_pki_revoke(const session& with, const std::string& what, const std::string& why);
exit_code run_pki_rotate(const session& with, bool finish, bool leave_behind);

struct login_options {
  std::string address;
  bool replace = false;  // what is there
};
/// With the join token of the settings.
exit_code run_login(const session& with, const login_options& options);

}  // namespace germline::cli
