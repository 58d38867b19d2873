#include "cli/arguments/binding.hpp"

#include "cli/commands/gateway.hpp"
#include "common/money.hpp"
#include "worker/gateway/loopback.hpp"

namespace germline::cli {
namespace {

/// `--flag TEXT` that cannot be left out; `right` says what it is.
CLI::Option* add_needed(CLI::App* command, const std::string& name, std::string& into,
                        const std::string& help, std::size_t bytes_max, const std::string& right) {
  return command->add_option(name, into, help)
      ->check([right](const std::string& text) -> std::string {
        return text.empty() ? "is empty; it is " + right : "";
      })
      ->check(said(name, bytes_max))
      ->required();
}

}  // namespace

void add_gateway(CLI::App& app, command_line& line) {
  auto given = std::make_shared<gateway_options>();
  auto* command = add_command(
      app, line, "gateway", "Run the gateway alone before a model's API, until Ctrl-C",
      "  germline gateway --config gateway.toml --model NAME --budget '$5'\n"
      "  germline gateway --listen 127.0.0.1:8080 --config gateway.toml --model NAME --budget 1 "
      "\\\n"
      "    --token-file ./token\n\n"
      "It prints the URL at which clients find it, and at the end on standard error what was\n"
      "spent. The provider's key is read from the variable that the configuration names. Without\n"
      "--token-file every account of this machine may spend the budget.");
  add_text(command, "--listen", given->listen,
           "127.0.0.1:PORT or [::1]:PORT; default: a free port of 127.0.0.1", path_bytes_max)
      ->check([](const std::string& text) -> std::string {
        const auto parsed = worker::parse_loopback(text);
        return parsed ? "" : parsed.error().message();
      });
  add_needed(command, "--config", given->config_file,
             "the gateway's TOML: upstreams, prices, bounds", path_bytes_max,
             "the gateway's TOML file, such as gateway.toml");
  add_needed(command, "--model", given->model,
             "the one that may be asked, as the upstream knows it", name_bytes_max,
             "the name of a model that has a price, as the upstream knows it");
  add_needed(command, "--budget", given->budget, "dollars for as long as it runs: '$5', 0.50",
             name_bytes_max, "dollars, such as '$5' or 0.50; 0 where the model is free")
      ->check([](const std::string& text) -> std::string {
        const auto parsed = parse_usd(text);
        return parsed ? "" : parsed.error().message();
      });
  constexpr std::int64_t most = 1'000'000'000;
  add_number<std::int64_t>(command, "--max-requests", given->max_requests, 1, most,
                           "in all; default: no end but the budget");
  add_number<std::int64_t>(command, "--max-requests-per-minute", given->max_requests_per_minute, 1,
                           most, "default: as many as come");
  add_number<std::int64_t>(command, "--max-output-tokens", given->max_output_tokens, 1,
                           most * 1'000, "in all; default: no end but the budget");
  add_text(command, "--token-file", given->token_file,
           "file with the token that clients must show as their API key; default: none is asked",
           path_bytes_max);
  command->callback([&line, given] {
    line.chosen = [given](const session& with) { return run_gateway_command(with, *given); };
  });
}

}  // namespace germline::cli
