#include "cli/arguments/binding.hpp"

#include "cli/commands/certificates.hpp"

namespace germline::cli {
namespace {

constexpr std::size_t identity_bytes_max = 64;
constexpr std::size_t token_bytes_max = 400;
constexpr std::int64_t days_max = 3'650;

CLI::App* add_pki_command(CLI::App& pki, command_line& line, const std::string& name,
                          const std::string& what, const std::string& examples) {
  auto* command = add_command(pki, line, name, what, examples);
  add_setting(command, line, "--pki-dir", "pki_dir",
              "the authority's folder; default: coordinator/pki beneath --state-dir");
  add_setting(command, line, "--state-dir", "state_dir", "of the `up` whose authority is meant");
  return command;
}

void add_making(CLI::App& pki, command_line& line) {
  auto* init = add_pki_command(pki, line, "init", "Make an authority; prints its fingerprint",
                               "  sudo germline pki init --pki-dir /srv/germline-pki\n\n"
                               "A coordinator with --tls-listen makes one itself where none is.");
  init->callback([&line] { line.chosen = &run_pki_init; });

  auto given = std::make_shared<token_options>();
  auto* token = add_pki_command(
      pki, line, "token", "Print a token that lets a worker join, or a person log in",
      "  sudo germline pki token\n"
      "  sudo germline pki token --reusable --ttl 1d       for a fleet of workers\n"
      "  sudo germline pki token --role person --name ann");
  add_text(token, "--role", given->role, "worker or person; default worker", identity_bytes_max);
  add_text(token, "--name", given->name, "the person's", identity_bytes_max);
  add_text(token, "--ttl", given->ttl, "how long it may be used: 30m, 1h, 7d; default 1h",
           identity_bytes_max);
  token->add_flag("--reusable", given->reusable, "by any number of workers");
  token->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_pki_token(with, *given); };
  });

  auto issued = std::make_shared<issue_options>();
  auto* issue =
      add_pki_command(pki, line, "issue", "Make a key and its certificate, to be brought along",
                      "  sudo germline pki issue worker gpu-1 --out ./gpu-1\n"
                      "  sudo germline pki issue person ann --out ./ann --days 30\n"
                      "  sudo germline pki issue coordinator --out ./standby\n\n"
                      "The folder then has ca.crt, tls.crt and tls.key, for --tls-dir.");
  add_text(issue, "ROLE", issued->role, "worker, person or coordinator", identity_bytes_max)
      ->required();
  add_text(issue, "NAME", issued->name, "whose it is; of a worker also its id", identity_bytes_max);
  add_text(issue, "--out", issued->folder, "folder for the three files", path_bytes_max)
      ->required();
  add_number<std::int64_t>(issue, "--days", issued->days, 1, days_max,
                           "how long it holds; default: worker 90, others 365");
  issue->callback([&line, issued] {
    line.chosen = [issued](const session& with) { return run_pki_issue(with, *issued); };
  });
}

void add_keeping(CLI::App& pki, command_line& line) {
  auto all = std::make_shared<bool>(false);
  auto* list = add_pki_command(pki, line, "list", "List the certificates that hold",
                               "  sudo germline pki list\n  sudo germline pki list --all --json");
  list->add_flag("-a,--all", *all, "also what is over or revoked");
  list->callback([&line, all] {
    line.chosen = [all](const session& with) { return run_pki_list(with, *all); };
  });

  struct revoke_flags {
    std::string what, why;
  };
  auto revoked = std::make_shared<revoke_flags>();
  auto* revoke = add_pki_command(
      pki, line, "revoke", "Take back certificates of a worker or person, or a join token",
      "  sudo germline pki revoke ann --why 'has left'\n"
      "  sudo germline pki revoke wrk_5ab…\n"
      "  sudo germline pki revoke 0f3a5577c1d29e84     a token, by what `pki token` says of it\n\n"
      "A running coordinator knows it with the next call, and within a heartbeat (5 s) ends the\n"
      "stream of a worker that is joined.");
  add_text(revoke, "NAME", revoked->what,
           "name or serial number, as `germline pki list` has it; or a token, or its id",
           token_bytes_max)
      ->required();
  add_text(revoke, "--why", revoked->why, "kept with it", why_bytes_max);
  revoke->callback([&line, revoked] {
    line.chosen = [revoked](const session& with) {
      return run_pki_revoke(with, revoked->what, revoked->why);
    };
  });

  auto finish = std::make_shared<bool>(false);
  auto leave_behind = std::make_shared<bool>(false);
  auto* rotate = add_pki_command(
      pki, line, "rotate", "Give the authority another key, while what it signed goes on",
      "  sudo germline pki rotate\n  sudo germline pki rotate --finish\n\n"
      "Two steps: first both keys are believed, and workers fetch new certificates by themselves;\n"
      "--finish ends the belief in the former key, once nobody needs it.");
  auto* finishes = rotate->add_flag("--finish", *finish, "believe the former key no more");
  rotate->add_flag("--leave-behind", *leave_behind, "although some have no new certificate")
      ->needs(finishes);
  rotate->callback([&line, finish, leave_behind] {
    line.chosen = [finish, leave_behind](const session& with) {
      return run_pki_rotate(with, *finish, *leave_behind);
    };
  });
}

}  // namespace

void add_certificate_commands(CLI::App& app, command_line& line) {
  auto* pki = app.add_subcommand("pki", "Certificates for workers and people elsewhere");
  pki->require_subcommand(1);
  pki->footer(
      "Workers and people on other machines prove over TLS who they are. The authority that\n"
      "says so is a folder beside the coordinator; these commands work there, as root.\n\n"
      "Examples:\n  sudo germline up --tls-listen 0.0.0.0:7411\n  sudo germline pki token\n"
      "and on the other machine:\n"
      "  sudo germline worker --join coordinator.example:7411 --token-file ./token");
  add_making(*pki, line);
  add_keeping(*pki, line);

  auto given = std::make_shared<login_options>();
  auto* login = add_command(
      app, line, "login", "Get a certificate for this account, to use a coordinator elsewhere",
      "  germline login coordinator.example:7411 --token-file ./token\n"
      "  germline ps\n\n"
      "The token is what `germline pki token --role person --name NAME` prints beside the\n"
      "coordinator. The credentials go beside config.toml, or where --tls-dir says.");
  add_text(login, "ADDRESS", given->address, "HOST:PORT of the coordinator's --tls-listen",
           path_bytes_max)
      ->required();
  add_token_settings(login, line);
  add_setting(login, line, "--tls-dir", "tls_dir", "folder for the credentials");
  login->add_flag("--replace", given->replace, "the credentials that are there");
  login->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_login(with, *given); };
  });
}

}  // namespace germline::cli
