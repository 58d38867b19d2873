#include "cli/commands/gateway.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "cli/render/render.hpp"
#include "cli/up/up.hpp"
#include "common/log.hpp"
#include "common/money.hpp"
#include "common/text/utf8.hpp"
#include "worker/gateway/front.hpp"
#include "worker/gateway/plain_text.hpp"

namespace germline::cli {
namespace {

constexpr std::size_t token_bytes_min = 16;
constexpr std::size_t token_bytes_max = 512;
/// The budget bounds it; what else is to bound it is asked for.
constexpr std::int64_t no_limit = 1'000'000'000'000'000;

/// The first line of the file.
result<std::string> read_token(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    return error(error_code::invalid_argument,
                 "--token-file " + file + " is a folder, and no file: name a file in it");
  }
  std::ifstream in(file);
  if (!in) return errno_error("reading " + file, errno);
  std::array<char, 4'096> line{};
  in.getline(line.data(), line.size());
  // What is between a NUL and the line's end counts as well.
  const auto read = static_cast<std::size_t>(in.gcount());
  std::string token(line.data(), in.eof() || in.fail() ? read : read - 1);
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  GERMLINE_TRY(worker::check_secret(token, "the token, which is the first line of " + file + ","));
  if (token.size() >= token_bytes_min && token.size() <= token_bytes_max) return token;
  return error(error_code::invalid_argument, "the first line of " + file + " has " +
                                                 std::to_string(token.size()) +
                                                 " characters; a token has 16 to 512");
}

std::string libexec_of(const config& settings) {
  if (const auto& named = settings.get("libexec_dir"); !named.empty()) return named;
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path().string();
}

result<worker::front_spec> spec_of(const session& with, const gateway_options& options) {
  worker::front_spec spec;
  spec.binary = libexec_of(with.settings) + "/germline-gateway";
  spec.config_file = options.config_file;
  spec.model = options.model;
  GERMLINE_TRY_ASSIGN(spec.listen, worker::parse_loopback(options.listen));
  if (!options.token_file.empty()) {
    GERMLINE_TRY_ASSIGN(spec.token, read_token(options.token_file));
  }
  GERMLINE_TRY_ASSIGN(spec.limits.budget_nanousd, parse_usd(options.budget));
  spec.limits.max_requests = options.max_requests.value_or(no_limit);
  spec.limits.max_requests_per_minute = options.max_requests_per_minute.value_or(no_limit);
  spec.limits.max_input_tokens = no_limit;
  spec.limits.max_output_tokens = options.max_output_tokens.value_or(no_limit);
  if (::geteuid() == 0) {  // it runs as that of `up` does
    const auto uids = uids_of(with.settings);
    spec.uid = uids.gateway;
    spec.gid = uids.group;
  }
  return spec;
}

std::string json_of(const worker::gateway_account& used) {
  const auto member = [](const char* name, std::int64_t value) {
    return std::string(", \"") + name + "\": " + std::to_string(value);
  };
  return "{\"requests\": " + std::to_string(used.requests) + member("refused", used.refused) +
         member("input_tokens", used.input_tokens) + member("output_tokens", used.output_tokens) +
         member("cache_write_tokens", used.cache_write_tokens) +
         member("cache_read_tokens", used.cache_read_tokens) +
         member("cost_nanousd", used.cost_nanousd) +
         member("charged_by_bound", used.charged_by_bound) + "}\n";
}

std::string counted(std::int64_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

std::string words_of(const worker::gateway_account& used, const std::string& transcript,
                     std::int64_t budget_nanousd) {
  auto text = "spent " + format_usd(used.cost_nanousd) + " of " + format_usd(budget_nanousd) +
              " in " + counted(used.requests, "request") + "; " + std::to_string(used.refused) +
              " more refused\n" + "tokens: " + std::to_string(used.input_tokens) + " in, " +
              std::to_string(used.output_tokens) + " out, " +
              std::to_string(used.cache_write_tokens) + " written to a cache, " +
              std::to_string(used.cache_read_tokens) + " read from one\n";
  if (used.charged_by_bound > 0) {
    text += counted(used.charged_by_bound, "request") +
            " did not tell what was used, and cost the most that was possible\n";
  }
  if (!transcript.empty()) text += "transcript: " + safe_line(transcript) + "\n";
  return text;
}

}  // namespace

exit_code run_gateway_command(const session& with, const gateway_options& options) {
  init_logging("germline");
  const auto spec = spec_of(with, options);
  if (!spec) return with.fail(spec.error());
  system_random random;
  std::string transcript;
  const auto used =
      worker::run_front(*spec, *with.time, random, [&](const worker::front_door& door) {
        transcript = door.transcript;
        with.data(with.json ? "{\"url\": " + json_string(door.url) + "}\n" : door.url + "\n");
      });
  if (!used) return with.fail(used.error());
  if (with.json) with.data(json_of(*used));
  with.message(words_of(*used, transcript, spec->limits.budget_nanousd));
  return exit_code::done;
}

}  // namespace germline::cli
