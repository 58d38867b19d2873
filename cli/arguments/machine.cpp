#include "cli/arguments/binding.hpp"

#include "cli/commands/commands.hpp"
#include "cli/commands/services.hpp"
#include "cli/install_paths.hpp"
#include "cli/up/up.hpp"
#include "cli/version.hpp"

namespace germline::cli {

namespace {

void add_tls_settings(CLI::App* command, command_line& line) {
  add_setting(command, line, "--tls-listen", "tls_listen",
              "HOST:PORT for workers and people elsewhere, with TLS and only for who has a "
              "certificate");
  add_setting(command, line, "--pki-dir", "pki_dir",
              "of the authority; default: pki beneath the coordinator's state");
}

void add_fleet_budget_setting(CLI::App* command, command_line& line) {
  add_setting(command, line, "--fleet-budget", "fleet_budget",
              "dollars that all runs together may spend: '$100', '$20/day' (UTC), or none; said "
              "once it is recorded, see `germline budget --help`");
  add_setting(command, line, "--fleet-token-budget", "fleet_token_budget",
              "the same of tokens: 50M, 1B/day (UTC), or none");
  add_setting(command, line, "--fleet-request-budget", "fleet_request_budget",
              "the same of requests: 200k, 10k/day (UTC), or none");
}

}  // namespace

void add_services(CLI::App& app, command_line& line) {
  auto given = std::make_shared<up_options>();
  auto* up = add_client_command(
      app, line, "up", "Run a coordinator and its workers on this machine, until Ctrl-C",
      "  sudo germline up\n  sudo germline up --slots 2 --state-dir /srv/germline\n"
      "  sudo germline up --fleet-budget '$20/day'\n"
      "  sudo germline up --detach    returns when a worker has joined; ended by: germline down");
  add_setting(up, line, "--state-dir", "state_dir", "everything on disk");
  add_setting(up, line, "--slots", "worker.slots", "iterations at a time, default 1");
  add_worker_settings(up, line);
  add_setting(up, line, "--gateway-config", "worker.gateway_config",
              "the gateway's TOML; without one, Anthropic's API where ANTHROPIC_API_KEY is set");
  add_fleet_budget_setting(up, line);
  add_tls_settings(up, line);
  add_number<std::int64_t>(up, "--workers", given->workers, 1, workers_most,
                           "workers, each with slots of its own; default 1");
  up->add_flag("-d,--detach", given->detach,
               "go on without the terminal once all runs; logs/up.log has what it says then");
  up->callback([&line, given] {
    line.chosen = [given](const session& with) {
      if (const auto shipped = price_file(with.settings.get("share_dir"))) {
        given->price_file = *shipped;
      }
      return run_up(with, *given);
    };
  });

  auto* down = add_command(
      app, line, "down", "End the `germline up` of a state folder, and wait until it has ended",
      "  sudo germline down\n  sudo germline down --state-dir /srv/germline\n\n"
      "Exit codes: 0 it has ended, 1 not within 75 s, 3 none runs, 5 not as root.");
  add_setting(down, line, "--state-dir", "state_dir", "of the `up` that is meant");
  down->callback([&line] { line.chosen = &run_down; });

  auto* coordinator = add_command(
      app, line, "coordinator", "Run a coordinator alone",
      "  germline coordinator --listen 127.0.0.1:7411\n"
      "  germline coordinator --tls-listen 0.0.0.0:7411   for workers and people elsewhere\n\n"
      "Without TLS it listens on a Unix socket or on loopback alone. Over TLS it obeys who has a\n"
      "certificate: see `germline pki --help`.");
  add_setting(coordinator, line, "--listen", "coordinator", "unix:/path or 127.0.0.1:PORT");
  add_fleet_budget_setting(coordinator, line);
  add_setting(coordinator, line, "--tls-dir", "tls_dir",
              "ca.crt, tls.crt and tls.key that were brought along, instead of an authority here");
  add_tls_settings(coordinator, line);
  add_setting(coordinator, line, "--state-dir", "state_dir", "the record, objects and artefacts");
  coordinator->callback([&line] { line.chosen = &run_coordinator_command; });

  auto* worker = add_client_command(
      app, line, "worker", "Run a worker alone; starts as root",
      "  sudo germline worker --join coordinator.example:7411 --token-file ./token\n"
      "  sudo germline worker --coordinator 127.0.0.1:7411    on the coordinator's machine\n\n"
      "The token is what `germline pki token` prints beside the coordinator, and is needed once:\n"
      "the certificate that it brings stays in the state folder and is renewed.\n"
      "GERMLINE_JOIN_TOKEN may hold it too.");
  worker
      ->add_option_function<std::string>(
          "--join",
          [&line](const std::string& at) {
            line.flags["coordinator"] = at.starts_with("tls:") ? at : "tls:" + at;
          },
          "HOST:PORT of a coordinator elsewhere, over TLS")
      ->check(said("--join", path_bytes_max));
  add_token_settings(worker, line);
  add_setting(worker, line, "--state-dir", "state_dir",
              "artefacts, transcripts and the worker's certificate");
  add_setting(worker, line, "--slots", "worker.slots", "iterations at a time, default 1");
  add_setting(worker, line, "--socket-group", "worker.socket_group",
              "a group, by number, that may use the coordinator's socket; the node is in it");
  add_worker_settings(worker, line);
  add_setting(worker, line, "--gateway-config", "worker.gateway_config", "the gateway's TOML");
  worker->callback([&line] { line.chosen = &run_worker_command; });
}

void add_machine(CLI::App& app, command_line& line) {
  auto* doctor =
      add_client_command(app, line, "doctor", "Say what this machine can do and what is missing",
                         "  sudo germline doctor\n  germline doctor --json");
  doctor->callback([&line] { line.chosen = &run_doctor_command; });

  auto* settings = app.add_subcommand("config", "Settings of this machine");
  settings->require_subcommand(1);
  settings->footer("Examples:\n  germline config show\n  germline config show --origin");
  auto origin = std::make_shared<bool>(false);
  auto* show = add_command(*settings, line, "show", "Print the settings that hold",
                           "  germline config show --origin\n\n"
                           "Precedence: flag, GERMLINE_* variable, config.toml, default.");
  show->add_flag("--origin", *origin, "also where each comes from");
  show->callback([&line, origin] {
    line.chosen = [origin](const session& with) { return run_config_show(with, *origin); };
  });

  auto* said = add_command(app, line, "version", "Print the version",
                           "  germline version\n  germline version --json");
  said->callback([&line] {
    line.chosen = [](const session& with) {
      const std::string number(version);
      with.data(with.json ? "{\"version\": \"" + number + "\"}\n" : "germline " + number + "\n");
      return exit_code::done;
    };
  });
}

}  // namespace germline::cli
