#include "cli/up/default_gateway.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "cli/up/up.hpp"

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

result<void> make_readable(const fs::path& path) {
  if (::chmod(path.c_str(), 0644) == 0) return {};
  return errno_error("chmod of " + path.string(), errno);
}

}  // namespace

result<std::string> write_default_gateway(const config& settings, const std::string& price_file,
                                          std::size_t worker) {
  const fs::path state(settings.get("state_dir"));
  const auto prices = state / "prices.json";
  const auto number = worker == 0 ? "" : "-" + std::to_string(worker + 1);
  const auto transcripts = state / ("transcripts" + number);
  const auto written = state / ("gateway" + number + ".toml");
  std::error_code failed;
  if (price_file.empty()) {
    return error(error_code::not_found,
                 "a key is given, and the prices of models that are shipped with Germline are not "
                 "found: name a gateway's configuration with --gateway-config");
  }
  fs::copy_file(price_file, prices, fs::copy_options::overwrite_existing, failed);
  if (failed) return errno_error("copying " + price_file, failed.value());
  GERMLINE_TRY(make_readable(prices));
  fs::create_directories(transcripts, failed);
  if (failed) return errno_error("making " + transcripts.string(), failed.value());
  const auto uids = uids_of_worker(settings, worker);
  if (::chown(transcripts.c_str(), uids.gateway, uids.group) != 0 ||
      ::chmod(transcripts.c_str(), 0700) != 0) {
    return errno_error("giving " + transcripts.string() + " to the gateway", errno);
  }
  std::ofstream file(written, std::ios::trunc);
  file
      << "# Written by `germline up`, anew each time. For one of your own: --gateway-config FILE.\n"
      << "schema = 1\n[upstream]\nurl = \"https://api.anthropic.com\"\n[prices]\nfile = " << prices
      << "\n[transcripts]\ndirectory = " << transcripts
      << "\n# Forms of requests that Claude Code sends. None has the provider run, fetch or keep a "
         "thing.\n"
         "[limits]\nbetas = [\"interleaved-thinking-2025-05-14\", \"effort-2025-11-24\", "
         "\"mid-conversation-system-2026-04-07\"]\n";
  file.close();
  if (!file) return error(error_code::unavailable, "writing " + written.string() + " failed");
  GERMLINE_TRY(make_readable(written));
  return written.string();
}

}  // namespace germline::cli
