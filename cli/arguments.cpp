#include "cli/arguments.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iostream>
#include <sstream>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/services.hpp"
#include "cli/help.hpp"
#include "cli/install_paths.hpp"
#include "cli/up/up.hpp"
#include "cli/version.hpp"
#include "common/config/run_file.hpp"
#include "common/text/units.hpp"
#include "common/text/utf8.hpp"

namespace germline::cli {
namespace {

/// What is filled while parsing, and the command that was chosen.
struct command_line {
  std::map<std::string, std::string> flags;
  bool json = false;
  std::function<exit_code(const session&)> chosen;
};

/// An empty word is what a script's unset variable leaves, and no wish for a default.
std::function<std::string(const std::string&)> said(const std::string& name,
                                                    std::size_t bytes_max) {
  return [name, bytes_max](const std::string& text) -> std::string {
    if (text.empty()) {
      return std::string("is empty; give a value") +
             (name.starts_with('-') ? ", or leave it out" : "");
    }
    if (text.size() <= bytes_max) return "";
    return "has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(bytes_max) +
           " are taken";
  };
}

constexpr std::size_t path_bytes_max = 4'095;
constexpr std::size_t why_bytes_max = 4 * 1024;

/// `--flag TEXT`, or a word by its place.
template <class Text>
CLI::Option* add_text(CLI::App* command, const std::string& name, Text& into,
                      const std::string& help, std::size_t bytes_max) {
  return command->add_option(name, into, help)->check(said(name, bytes_max));
}

/// `--flag` that overrides a setting.
void add_setting(CLI::App* command, command_line& line, const std::string& flag,
                 const std::string& key, const std::string& help) {
  command
      ->add_option_function<std::string>(
          flag, [&line, key](const std::string& value) { line.flags[key] = value; }, help)
      ->check(said(flag, path_bytes_max));
}

/// `--flag NUMBER`: decimal digits only, from `lowest` to `highest`.
template <class Number>
void add_number(CLI::App* command, const std::string& flag, std::optional<Number>& into,
                Number lowest, Number highest, const std::string& help) {
  command->add_option_function<std::string>(
      flag,
      [flag, &into, lowest, highest](const std::string& text) {
        Number number = 0;
        const auto* const end = text.data() + text.size();
        const auto [at, failed] = std::from_chars(text.data(), end, number);
        if (failed != std::errc() || at != end || number < lowest || number > highest) {
          throw CLI::ValidationError(flag, "'" + text + "' is no whole number from " +
                                               std::to_string(lowest) + " to " +
                                               std::to_string(highest));
        }
        into = number;
      },
      help);
}

/// How people name what the coordinator knows.
const std::string naming = "by id, a unique beginning of it, or a run's name";

CLI::App* add_command(CLI::App& app, command_line& line, const std::string& name,
                      const std::string& what, const std::string& examples) {
  auto* command = app.add_subcommand(name, what);
  if (!examples.empty()) command->footer("Examples:\n" + examples);
  command->add_flag("--json", line.json, "print JSON for programs");
  return command;
}

CLI::App* add_client_command(CLI::App& app, command_line& line, const std::string& name,
                             const std::string& what, const std::string& examples) {
  auto* command = add_command(app, line, name, what, examples);
  add_setting(command, line, "--coordinator", "coordinator",
              "where the coordinator listens: unix:/path or HOST:PORT");
  return command;
}

void add_ps(CLI::App& app, command_line& line) {
  auto given = std::make_shared<ps_options>();
  auto* command =
      add_client_command(app, line, "ps", "List lineages: state, depth, what is live",
                         "  germline ps\n  germline ps --all --json\n"
                         "  germline kill $(germline ps -q)    all that is not over\n\n"
                         "Lists what is not over, paused or not, and for a day what is:\n"
                         "done, killed, retired or refused. JSON always has all.\n"
                         "With --quiet only what is not over, or with --all everything.");
  command->add_flag("-a,--all", given->all, "also what was over more than a day ago");
  command->add_flag("-q,--quiet", given->quiet, "ids only, of lineages that are not over");
  auto* workers = command->add_flag("-w,--workers", given->workers, "the workers instead");
  command->add_flag("--joined", given->joined, "with --workers: exit code 1 while none is joined")
      ->needs(workers);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_ps(with, *given); };
  });
}

void add_tree(CLI::App& app, command_line& line) {
  auto target = std::make_shared<std::string>();
  auto* command = add_client_command(
      app, line, "tree", "Show a run's generations and iterations, how each ended and why",
      "  germline tree            the newest run\n  germline tree run_0193a");
  add_text(command, "TARGET", *target, "run or lineage: " + naming, name_bytes_max);
  command->callback([&line, target] {
    line.chosen = [target](const session& with) { return run_tree(with, *target); };
  });
}

void add_show(CLI::App& app, command_line& line) {
  auto target = std::make_shared<std::string>();
  auto* command = add_client_command(
      app, line, "show", "Show all about a run, lineage, generation, iteration or attempt",
      "  germline show lin_0193a\n  germline show itm_0193b --json");
  add_text(command, "ID", *target, "what to show: " + naming, name_bytes_max)->required();
  command->callback([&line, target] {
    line.chosen = [target](const session& with) { return run_show(with, *target); };
  });
}

void add_logs(CLI::App& app, command_line& line) {
  auto target = std::make_shared<std::string>();
  auto follow = std::make_shared<bool>(false);
  auto* command = add_client_command(app, line, "logs",
                                     "Print what happened to a run, lineage, iteration or attempt",
                                     "  germline logs run_0193a\n  germline logs -f lin_0193a\n"
                                     "  germline logs --json itm_0193b    one JSON object a line");
  add_text(command, "ID", *target, "what to follow: " + naming, name_bytes_max)->required();
  command->add_flag("-f,--follow", *follow, "go on as more happens; Ctrl-C ends");
  command->callback([&line, target, follow] {
    line.chosen = [target, follow](const session& with) {
      return run_logs(with, *target, *follow);
    };
  });
}

void add_diff(CLI::App& app, command_line& line) {
  auto targets = std::make_shared<std::vector<std::string>>();
  auto* command = add_client_command(
      app, line, "diff", "Show what changed in the source between two generations or iterations",
      "  germline diff gen_0193b              against its parent\n"
      "  germline diff gen_0193a gen_0193b\n  germline diff gen_0193b | git apply");
  add_text(command, "ID", *targets,
           "[FROM] TO: generations, or iterations that left a commit; id or unique beginning",
           name_bytes_max)
      ->required()
      ->expected(1, 2);
  command->callback([&line, targets] {
    line.chosen = [targets](const session& with) {
      return targets->size() == 1 ? run_diff(with, "", targets->at(0))
                                  : run_diff(with, targets->at(0), targets->at(1));
    };
  });
}

void add_promote(CLI::App& app, command_line& line) {
  auto given = std::make_shared<promote_options>();
  auto* command = add_client_command(
      app, line, "promote", "Bring a generation home, as a branch of your own repository",
      "  germline promote lin_0193a                      its newest generation\n"
      "  germline promote gen_0193b --branch evolved\n"
      "  germline promote gen_0193b --repository ~/agent --branch main");
  add_text(command, "ID", given->target,
           "generation; or lineage, or run that has one, for its newest; id or unique beginning",
           name_bytes_max)
      ->required();
  add_text(command, "--repository", given->repository,
           "where to; default: the repository that the run was started from", path_bytes_max);
  add_text(command, "--branch", given->branch,
           "default: germline/ID. One that is there is moved forward only, and never where it is "
           "checked out",
           branch_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_promote(with, *given); };
  });
}

void add_kill(CLI::App& app, command_line& line) {
  struct flags {
    std::vector<std::string> targets;
    bool all = false;
    std::string why;
  };
  auto given = std::make_shared<flags>();
  auto* command = add_client_command(
      app, line, "kill", "End lineages for good; returns with the proof that nothing runs any more",
      "  germline kill lin_0193a --why 'wrong goal'\n  germline kill run_0193a\n"
      "  germline kill --all          all that is not over; prints those\n\n"
      "Exit code 6: killed, and no proof came within the coordinator's kill_wait_s (45 s). Then\n"
      "nothing of it is taken any more, but it may still run: who has it and what to do is said.");
  auto* targets =
      add_text(command, "ID", given->targets, "runs or lineages: " + naming, name_bytes_max);
  auto* all = command->add_flag("--all", given->all, "everything");
  targets->excludes(all);
  add_text(command, "--why", given->why, "recorded with it", why_bytes_max);
  command->callback([&line, given] {
    if (given->targets.empty() && !given->all) {
      throw CLI::ValidationError(
          "kill", "no run or lineage was named; all of them are ended by `germline kill --all`");
    }
    line.chosen = [given](const session& with) {
      return run_kill(with, given->all ? std::vector<std::string>{"all"} : given->targets,
                      given->why);
    };
  });
}

void add_pause_and_resume(CLI::App& app, command_line& line) {
  for (const bool pause : {true, false}) {
    auto lineage = std::make_shared<std::string>();
    auto why = std::make_shared<std::string>();
    const std::string name = pause ? "pause" : "resume";
    auto* command =
        add_client_command(app, line, name,
                           pause ? "Let a lineage's live iteration end, and begin no other"
                                 : "Let a paused lineage go on",
                           "  germline " + name + " lin_0193a");
    add_text(command, "LINEAGE", *lineage, "lineage, or run of one lineage: " + naming,
             name_bytes_max)
        ->required();
    add_text(command, "--why", *why, "recorded with it", why_bytes_max);
    command->callback([&line, lineage, why, pause] {
      line.chosen = [lineage, why, pause](const session& with) {
        return pause ? run_pause(with, *lineage, *why) : run_resume(with, *lineage, *why);
      };
    });
  }
}

void add_rollback(CLI::App& app, command_line& line) {
  struct flags {
    std::string lineage, to, why;
  };
  auto given = std::make_shared<flags>();
  auto* command = add_client_command(
      app, line, "rollback", "Take a lineage back to an ancestor of its newest generation",
      "  germline rollback lin_0193a                 to the parent of its head\n"
      "  germline rollback lin_0193a --to gen_0193b --why 'slower than before'\n\n"
      "The branch goes forward: a new commit has the ancestor's source and the newest context, "
      "and\n"
      "the ancestor's sealed artefact runs next. Nothing is lost: what was rolled back stays in\n"
      "`germline tree`, can be shown, promoted and forked, and its number is not used again.\n"
      "While an iteration is live it is refused (exit code 5): `germline pause` the lineage, wait\n"
      "for the iteration to end, roll back, and `germline resume`. A lineage that is done stays "
      "so.\n"
      "A new generation whose first three iterations all fail is rolled back by itself.");
  add_text(command, "LINEAGE", given->lineage, "lineage, or run of one lineage: " + naming,
           name_bytes_max)
      ->required();
  add_text(command, "--to", given->to,
           "generation, by id or unique beginning; default: the parent of the head",
           name_bytes_max);
  add_text(command, "--why", given->why, "recorded with it", why_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) {
      return run_rollback(with, given->lineage, given->to, given->why);
    };
  });
}

void add_fork(CLI::App& app, command_line& line) {
  struct flags {
    std::string generation;
    std::optional<std::int64_t> iterations;
  };
  auto given = std::make_shared<flags>();
  auto* command = add_client_command(
      app, line, "fork", "Begin a new lineage from any generation of a run; prints its id",
      "  germline fork gen_0193b\n  germline fork gen_0193b --iterations 4\n"
      "  germline logs -f \"$(germline fork gen_0193b)\"\n\n"
      "The new lineage is of the generation's run and shares its budget. It has a branch of its\n"
      "own and begins with the generation's source and context, and it counts its generations on\n"
      "from that one's number. The generation's own lineage may be killed or retired.");
  add_text(command, "GENERATION", given->generation, "generation, by id or unique beginning",
           name_bytes_max)
      ->required();
  add_number<std::int64_t>(command, "--iterations", given->iterations, 0, iterations_max,
                           "default: as many as the run's lineages were given; 0: no end but "
                           "budget and person");
  command->callback([&line, given] {
    line.chosen = [given](const session& with) {
      return run_fork(with, given->generation, given->iterations);
    };
  });
}

void add_retire(CLI::App& app, command_line& line) {
  auto lineage = std::make_shared<std::string>();
  auto why = std::make_shared<std::string>();
  auto* command = add_client_command(
      app, line, "retire", "End a lineage for good, and keep its history",
      "  germline retire lin_0193a --why 'lin_0193c does it better'\n\n"
      "Final. Its branch, generations and iterations stay, to be shown, promoted and forked.\n"
      "While an iteration is live it is refused (exit code 5): `germline pause` the lineage and\n"
      "wait for the iteration to end; or `germline kill` it, which does not wait.");
  add_text(command, "LINEAGE", *lineage, "lineage, or run of one lineage: " + naming,
           name_bytes_max)
      ->required();
  add_text(command, "--why", *why, "recorded with it", why_bytes_max);
  command->callback([&line, lineage, why] {
    line.chosen = [lineage, why](const session& with) { return run_retire(with, *lineage, *why); };
  });
}

void add_run(CLI::App& app, command_line& line) {
  auto given = std::make_shared<run_options>();
  auto* command = add_client_command(
      app, line, "run", "Found a run from a repository and let its lineages evolve",
      "  germline run ./agent --iterations 4 --follow\n"
      "  germline run ./agent --goal 'learn to search files' --model NAME --budget '$5'\n"
      "  germline run --file run.toml --lineages 3\n\n"
      "The branch is read as it is committed; your repository is never written. Ctrl-C ends\n"
      "--follow, not the run. It ends with 1 where the seed was refused; with 0 else, also where "
      "a\n"
      "lineage was paused or killed, and says why. Flags win over the file.");
  add_text(command, "REPO", given->repository, "folder of a git repository; default: this one",
           path_bytes_max);
  add_text(command, "--file", given->file, "run.toml to take what is not said here from",
           path_bytes_max);
  add_text(command, "--name", given->name, "for people; default: the repository's folder",
           name_bytes_max);
  add_text(command, "--branch", given->branch, "default: the repository's HEAD", branch_bytes_max);
  add_text(command, "--folder", given->folder, "of the genome in the repository; default: root",
           path_bytes_max);
  add_number<std::int64_t>(command, "--lineages", given->lineages, 1, lineages_max,
                           "lines of descent, default 1");
  add_number<std::int64_t>(command, "--iterations", given->iterations, 0, iterations_max,
                           "of each lineage; default and 0: no end but budget and person");
  add_text(command, "--model", given->model, "as the upstream knows it; needs --budget",
           name_bytes_max);
  add_text(command, "--budget", given->budget, "dollars for the whole run: '$5', 0.50",
           name_bytes_max);
  add_text(command, "--goal", given->goal, "what to aim at; default: the agent's own choice",
           std::string::npos);  // its bound, and what to do instead, is told where it is checked
  add_number<std::uint64_t>(command, "--random-seed", given->random_seed, 0, random_seed_max,
                            "makes choices repeatable");
  command->add_flag("-f,--follow", given->follow,
                    "print progress until every lineage is paused, killed or retired");
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_run(with, *given); };
  });
}

void add_init(CLI::App& app, command_line& line) {
  auto given = std::make_shared<init_options>();
  auto* command =
      add_command(app, line, "init", "Make a git repository from a genome that Germline ships",
                  "  germline init ./agent\n  germline init ./tiny --from two-second");
  add_text(command, "DIR", given->folder, "new or empty folder", path_bytes_max)->required();
  add_text(command, "--from", given->from, "builtin, foreign or two-second; default builtin",
           name_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_init(with, *given); };
  });
}

void add_services(CLI::App& app, command_line& line) {
  auto given = std::make_shared<up_options>();
  auto* up = add_client_command(
      app, line, "up", "Run a coordinator and a worker on this machine, until Ctrl-C",
      "  sudo germline up\n  sudo germline up --slots 2 --state-dir /srv/germline\n"
      "  sudo germline up --detach    returns when a worker has joined; ended by: germline down");
  add_setting(up, line, "--state-dir", "state_dir", "everything on disk");
  add_setting(up, line, "--slots", "worker.slots", "iterations at a time, default 1");
  add_setting(up, line, "--gateway-config", "worker.gateway_config",
              "the gateway's TOML; without one, Anthropic's API where ANTHROPIC_API_KEY is set");
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

  auto* coordinator = add_command(app, line, "coordinator", "Run a coordinator alone",
                                  "  germline coordinator --listen 127.0.0.1:7411");
  add_setting(coordinator, line, "--listen", "coordinator", "unix:/path or 127.0.0.1:PORT");
  add_setting(coordinator, line, "--state-dir", "state_dir", "the record, objects and artefacts");
  coordinator->callback([&line] { line.chosen = &run_coordinator_command; });

  auto* worker = add_client_command(app, line, "worker", "Run a worker alone; starts as root",
                                    "  sudo germline worker --coordinator 127.0.0.1:7411");
  add_setting(worker, line, "--state-dir", "state_dir", "artefacts and transcripts");
  add_setting(worker, line, "--slots", "worker.slots", "iterations at a time, default 1");
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

int refuse(const std::string& why) {
  std::cerr << indented(style_of(STDERR_FILENO), "germline: " + safe_line(why), 0);
  return static_cast<int>(exit_code::usage);
}

/// Of words that nothing takes the first flag; where there is none the first word.
std::string unexpected(const CLI::App& app, const CLI::App& command) {
  const auto words = app.remaining(true);
  const auto flag = std::find_if(words.begin(), words.end(),
                                 [](const auto& word) { return word.starts_with("-"); });
  if (flag == words.end()) {
    return words.empty() ? "a word is one too many"
                         : "'" + words.front() + "' is one word too many";
  }
  const auto name = flag->substr(0, flag->find('='));
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& known : option->get_lnames()) names.push_back("--" + known);
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto nearest = nearest_key(name, known);
  return "unknown flag '" + name + "'" +
         (nearest ? "; did you mean '" + std::string(*nearest) + "'?" : "");
}

/// What CLI11 found wrong, in the form of all other messages, and where to read on.
int refuse(const CLI::App& app, const CLI::ParseError& wrong) {
  std::string command = "germline";
  const auto* last = &app;
  for (const auto* chosen : app.get_subcommands()) {
    command += " " + chosen->get_name();
    last = chosen;
    for (const auto* within : chosen->get_subcommands()) {
      command += " " + within->get_name();
      last = within;
    }
  }
  const bool extra = dynamic_cast<const CLI::ExtrasError*>(&wrong) != nullptr;
  return refuse((extra ? unexpected(app, *last) : std::string(wrong.what())) + " (see `" + command +
                " --help`)");
}

/// The first word where it names no command; none where it does, or is a flag.
std::optional<std::string> unknown_command(const CLI::App& app, const std::vector<char*>& words) {
  if (words.size() < 2 || words[1][0] == '-') return std::nullopt;
  for (const auto* known : app.get_subcommands({})) {
    if (known->get_name() == words[1]) return std::nullopt;
  }
  return words[1];
}

int refuse_command(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const auto* known : app.get_subcommands({})) names.push_back(known->get_name());
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto nearest = nearest_key(word, known);
  return refuse("unknown command '" + word + "'" +
                (nearest ? "; did you mean '" + std::string(*nearest) + "'?" : "") +
                " (see `germline --help`)");
}

/// What was asked for is only done when its output has arrived.
int conclude(int code, int output_errno) {
  if (output_errno == 0) return code;
  std::cerr << "germline: writing standard output: " << std::strerror(output_errno) << '\n';
  return code == 0 ? static_cast<int>(exit_code::failed) : code;
}

/// All of it is sent as text to the coordinator, or shown: nothing has a use for other bytes.
bool is_text(std::string_view word) {
  return valid_utf8(word) == word;
}

int run_chosen(const command_line& line) {
  keep_grpc_quiet();
  session with;
  with.json = line.json;
  with.how = style_of(STDOUT_FILENO);
  with.errors = style_of(STDERR_FILENO);
  const system_clock_source time;
  with.time = &time;
  auto sources = process_config_sources();
  if (!sources) return static_cast<int>(with.fail(sources.error()));
  sources->flags = line.flags;
  auto settings = config::load(*sources);
  if (!settings) return static_cast<int>(with.fail(settings.error()));
  with.settings = std::move(*settings);
  const auto code = static_cast<int>(line.chosen(with));
  return conclude(code, with.output_errno);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app(
      "Germline evolves agents that rewrite their own source, generation after generation.\n"
      "A genome (an agent's source in git) is run in a sandbox, changes itself, and what passes\n"
      "its tests becomes the next generation.");
  app.name("germline");
  const auto terminal = style_of(STDOUT_FILENO);
  app.formatter(std::make_shared<help_formatter>(std::min(terminal.columns, 100)));
  app.require_subcommand(0, 1);  // that there is one is checked below, with a better message
  app.set_version_flag("--version", "germline " + std::string(version));
  app.footer(
      "Runs, lineages and the rest are named by id or a unique beginning of it, runs by name "
      "too.\nWhere several runs have that name, the ids of all are listed.\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unreachable, 5 refused,\n"
      "6 killed without proof.\n"
      "`germline COMMAND --help` shows a command's flags and examples.");
  command_line line;
  add_services(app, line);
  add_init(app, line);
  add_run(app, line);
  add_ps(app, line);
  add_tree(app, line);
  add_show(app, line);
  add_logs(app, line);
  add_diff(app, line);
  add_promote(app, line);
  add_kill(app, line);
  add_pause_and_resume(app, line);
  add_rollback(app, line);
  add_fork(app, line);
  add_retire(app, line);
  add_machine(app, line);
  for (int i = 1; i < argc; ++i) {
    if (!is_text(argv[i]))
      return refuse("argument " + std::to_string(i) + ", '" + argv[i] + "', is not UTF-8");
  }
  // `germline help COMMAND`, as others' tools have it.
  std::vector<char*> words(argv, argv + argc);
  std::string asks_help = "--help";
  if (argc > 1 && argv[1] == std::string_view("help")) {
    words.erase(words.begin() + 1);
    words.push_back(asks_help.data());
  }
  if (const auto word = unknown_command(app, words)) return refuse_command(app, *word);
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError& stopped) {
    // Help and version end well; all else is usage. CLI11 has codes of its own for each.
    if (stopped.get_exit_code() == 0) {
      std::ostringstream text;
      const int code = app.exit(stopped, text, std::cerr);
      const session with;
      with.data(text.str());
      return conclude(code, with.output_errno);
    }
    return refuse(app, stopped);
  }
  if (!line.chosen) {
    std::cerr << app.help();
    return static_cast<int>(exit_code::usage);
  }
  return run_chosen(line);
}

}  // namespace germline::cli
