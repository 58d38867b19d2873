#include "cli/arguments/binding.hpp"

#include "cli/commands/commands.hpp"
#include "common/text/units.hpp"

namespace germline::cli {
namespace {

void add_kill(CLI::App& app, command_line& line) {
  struct flags {
    std::vector<std::string> targets;
    bool all = false, clade = false;
    std::string why;
  };
  auto given = std::make_shared<flags>();
  auto* command = add_client_command(
      app, line, "kill", "End lineages for good; returns with the proof that nothing runs any more",
      "  germline kill lin_0193a --why 'wrong goal'\n  germline kill run_0193a\n"
      "  germline kill lin_0193a --clade    and all that was forked from it, and from those\n"
      "  germline kill gen_0193b      all lineages whose head is it or descends from it\n"
      "  germline kill --all          all that is not over; prints those\n\n"
      "Exit code 6: killed, and no proof came within the coordinator's kill_wait_s (45 s). Then\n"
      "nothing of it is taken any more, but it may still run: who has it and what to do is said.");
  auto* targets = add_text(command, "ID", given->targets,
                           std::string("runs, lineages or generations: ") + naming, name_bytes_max);
  auto* all = command->add_flag("--all", given->all, "everything");
  targets->excludes(all);
  command
      ->add_flag("--clade", given->clade,
                 "with a lineage also those forked from its generations, and so on")
      ->excludes(all);
  add_text(command, "--why", given->why, "recorded with it", why_bytes_max);
  command->callback([&line, given] {
    if (given->targets.empty() && !given->all) {
      throw CLI::ValidationError(
          "kill", "no run or lineage was named; all of them are ended by `germline kill --all`");
    }
    line.chosen = [given](const session& with) {
      return run_kill(with, given->all ? std::vector<std::string>{"all"} : given->targets,
                      given->why, given->clade);
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
    add_text(command, "LINEAGE", *lineage, std::string("lineage, or run of one lineage: ") + naming,
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
  add_text(command, "LINEAGE", given->lineage,
           std::string("lineage, or run of one lineage: ") + naming, name_bytes_max)
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
  add_text(command, "LINEAGE", *lineage, std::string("lineage, or run of one lineage: ") + naming,
           name_bytes_max)
      ->required();
  add_text(command, "--why", *why, "recorded with it", why_bytes_max);
  command->callback([&line, lineage, why] {
    line.chosen = [lineage, why](const session& with) { return run_retire(with, *lineage, *why); };
  });
}

void add_scale(CLI::App& app, command_line& line) {
  auto given = std::make_shared<scale_options>();
  auto* command = add_client_command(
      app, line, "scale", "Give a run as many lineages as said: more of them, or fewer",
      "  germline scale run_0193a 8\n"
      "  germline scale run_0193a 2 --why 'the others found nothing'\n"
      "  germline scale run_0193a 0 --kill\n\n"
      "Counted are the lineages that are not over, not done and not draining. New ones begin from\n"
      "the run's seed, or from what its strategy chooses. Of those that are too many the paused\n"
      "leave, then the newest: one retires at once where nothing of it is live, else it drains, "
      "and\n"
      "retires when its iteration ends. With --kill they are killed, and it returns with the "
      "proof\n"
      "for each, or ends with 6, as `germline kill` does.");
  add_text(command, "RUN", given->run, std::string("run: ") + naming, name_bytes_max)->required();
  add_number<std::int64_t>(command, "N", given->lineages, 0, lineages_max,
                           "how many lineages it is to have")
      ->required();
  command->add_flag("--kill", given->kill, "end those that are too many now, for good");
  add_text(command, "--why", given->why, "recorded with it", why_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_scale(with, *given); };
  });
}

void add_share(CLI::App& app, command_line& line) {
  auto given = std::make_shared<share_options>();
  auto* command = add_client_command(
      app, line, "share", "Set how much of the workers' slots a run has beside others",
      "  germline share run_0193a --weight 3\n"
      "  germline share run_0193a --priority 10\n\n"
      "It counts while several runs wait for slots. Of them the one with the highest priority has\n"
      "each slot that comes free; at the same priority slot time is in proportion to the weights.\n"
      "What is leased goes on. What is not said stays as it is.");
  add_text(command, "RUN", given->run, std::string("run: ") + naming, name_bytes_max)->required();
  add_number<std::int64_t>(command, "--priority", given->priority, -priority_max, priority_max,
                           "over runs with a lower one");
  add_number<std::int64_t>(command, "--weight", given->weight, 1, weight_max,
                           "beside runs of the same priority");
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_share(with, *given); };
  });
}

void add_budget(CLI::App& app, command_line& line) {
  struct flags {
    std::vector<std::string> words;
    bool fleet = false, all = false;
    std::string tokens, requests;
  };
  auto given = std::make_shared<flags>();
  auto* command = add_client_command(
      app, line, "budget", "Tell what may be spent, is spent and held; or change it",
      "  germline budget                       the fleet (all runs together), and each run\n"
      "  germline budget run_0193a             the run and its lineages\n"
      "  germline budget run_0193a '$10'       from now on the run may spend $10 in all\n"
      "  germline budget lin_0193a '$2'        of that the lineage $2; `none`: no bound of its "
      "own\n"
      "  germline budget --fleet '$200'        all runs together, since the record began\n"
      "  germline budget --fleet '$20/day'     and each day, UTC; `none`: no bound\n"
      "  germline budget run_0193a --tokens 50M --requests 2000\n"
      "  germline budget --fleet --tokens 1B/day\n\n"
      "Tokens are all of the input, what a cache held or kept of it among it, and the output.\n"
      "Held is what attempts under way may spend. A run or lineage is given no less than it has\n"
      "spent and holds (exit code 5). Lineages that paused for want of money go on by `germline\n"
      "resume`; what waits for the next day, or for what others hold, by itself. The fleet's "
      "stays\n"
      "over restarts, until `--fleet-budget` of `up` or `coordinator` says another than at the\n"
      "start before.");
  command->add_option(
      "WORDS", given->words,
      "[ID] [USD]: run or lineage, by id, unique beginning or name; and what it may "
      "spend in all");
  command->add_flag("--fleet", given->fleet, "the budget of all runs together; then [USD] alone");
  command->add_flag("--all", given->all, "tell of runs that are over, too");
  const auto is_limit_of = [](unit of) {
    return [of](const std::string& text) -> std::string {
      const auto parsed = parse_spending_limit(of, text);
      return parsed ? "" : parsed.error().message();
    };
  };
  add_text(
      command, "--tokens", given->tokens,
      "what the run, lineage or fleet may take of tokens: 50M, 500k, none; of the fleet 1B/day",
      name_bytes_max)
      ->check(is_limit_of(unit::tokens));
  add_text(command, "--requests", given->requests, "the same of requests: 2000, 10k, none",
           name_bytes_max)
      ->check(is_limit_of(unit::requests));
  command->callback([&line, given] {
    const auto& words = given->words;
    const std::size_t most = given->fleet ? 1 : 2;
    if (words.size() > most) {
      throw CLI::ValidationError("budget", given->fleet
                                               ? "--fleet takes one amount: --fleet '$200'"
                                               : "too many words; write budget [ID] [USD]");
    }
    for (const auto& word : words) {
      if (word.empty() || word.size() > name_bytes_max) {
        throw CLI::ValidationError("budget", "an id or amount has 1 to 256 characters");
      }
    }
    budget_options options;
    options.fleet = given->fleet;
    options.all = given->all;
    options.amount.tokens = given->tokens;
    options.amount.requests = given->requests;
    if (options.sets() && !given->fleet && words.empty()) {
      throw CLI::ValidationError(
          "budget", "whose budget? write budget ID --tokens 50M, or budget --fleet --tokens 50M");
    }
    if (given->fleet) {
      if (!words.empty()) options.amount.money = words[0];
    } else if (!words.empty()) {
      options.target = words[0];
      if (words.size() > 1) options.amount.money = words[1];
      if (words[0].starts_with("$")) {
        throw CLI::ValidationError("budget", "whose budget? write budget ID '" + words[0] +
                                                 "', or budget --fleet '" + words[0] + "'");
      }
    }
    line.chosen = [options](const session& with) { return run_budget(with, options); };
  });
}

constexpr const char* worker_naming = "worker, by id or a unique beginning of it";

void add_cordon_and_uncordon(CLI::App& app, command_line& line) {
  auto worker = std::make_shared<std::string>();
  auto why = std::make_shared<std::string>();
  auto* cordon = add_client_command(
      app, line, "cordon", "Keep a worker from further leases; what it has goes on",
      "  germline cordon wrk_0193a --why 'its disk is failing'\n\n"
      "It stays so over restarts of worker and coordinator, until `germline uncordon`. A worker\n"
      "that is away may be cordoned too.");
  add_text(cordon, "WORKER", *worker, worker_naming, name_bytes_max)->required();
  add_text(cordon, "--why", *why, "recorded with it", why_bytes_max);
  cordon->callback([&line, worker, why] {
    line.chosen = [worker, why](const session& with) {
      return run_cordon(with, *worker, true, *why);
    };
  });
  auto* uncordon = add_client_command(app, line, "uncordon", "Let a worker have leases again",
                                      "  germline uncordon wrk_0193a");
  add_text(uncordon, "WORKER", *worker, worker_naming, name_bytes_max)->required();
  uncordon->callback([&line, worker] {
    line.chosen = [worker](const session& with) { return run_cordon(with, *worker, false, ""); };
  });
}

void add_drain(CLI::App& app, command_line& line) {
  struct flags {
    std::string worker, why;
    std::int64_t limit_ms = 30LL * 60 * 1'000;
  };
  auto given = std::make_shared<flags>();
  auto* command = add_client_command(
      app, line, "drain", "Cordon a worker, and return once nothing is leased to it",
      "  germline drain wrk_0193a --why 'new kernel' && reboot\n"
      "  germline drain wrk_0193a --timeout 2h\n\n"
      "Exit code 1: the time is over, and it still has what is said. It stays cordoned.");
  add_text(command, "WORKER", given->worker, worker_naming, name_bytes_max)->required();
  add_text(command, "--why", given->why, "recorded with it", why_bytes_max);
  command->add_option_function<std::string>(
      "--timeout",
      [given](const std::string& text) {
        const auto limit = parse_duration_ms(text);
        if (!limit) throw CLI::ValidationError("--timeout", limit.error().message());
        given->limit_ms = *limit;
      },
      "how long to wait, such as 90s or 2h; default 30m");
  command->callback([&line, given] {
    line.chosen = [given](const session& with) {
      return run_drain(with, given->worker, given->why, given->limit_ms);
    };
  });
}

}  // namespace

void add_steering_commands(CLI::App& app, command_line& line) {
  add_kill(app, line);
  add_pause_and_resume(app, line);
  add_rollback(app, line);
  add_fork(app, line);
  add_retire(app, line);
  add_scale(app, line);
  add_share(app, line);
  add_budget(app, line);
  add_cordon_and_uncordon(app, line);
  add_drain(app, line);
}

}  // namespace germline::cli
