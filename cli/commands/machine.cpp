#include <unistd.h>

#include <array>
#include <filesystem>

#include "cli/client.hpp"
#include "cli/commands/commands.hpp"
#include "cli/install_paths.hpp"
#include "cli/render/render.hpp"
#include "cli/version.hpp"
#include "sandbox/doctor.hpp"
#include "worker/mirror/config.hpp"

namespace germline::cli {
namespace {

struct check {
  std::string name;
  bool ok = false;
  bool required = false;
  std::string detail;
  std::string hint;
};

check check_coordinator(const session& with) {
  check found{"coordinator", false, false, "", "start one with `germline up`"};
  control_client client(with.settings, *with.time);
  const auto status = client.status({});
  if (status) {
    found.ok = true;
    found.detail = with.coordinator() + ", version " + status->version() + ", " +
                   std::to_string(status->workers_size()) + " workers";
  } else if (status.error().code() == error_code::permission_denied) {
    found.detail = "this account may not use " + with.coordinator();
    found.hint = "the socket obeys root alone: sudo germline doctor";
  } else if (status.error().code() == error_code::failed_precondition) {
    found.detail = status.error().message();
    found.hint = "`germline login` brings a certificate";
  } else {
    found.detail = "none at " + with.coordinator();
  }
  return found;
}

/// Where the programs are that the worker starts, by the same rule as its own.
std::string libexec_dir(const config& settings) {
  if (const auto& named = settings.get("libexec_dir"); !named.empty()) return named;
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path().string();
}

/// Names each that is not there, or is no program.
check check_helpers(const config& settings) {
  constexpr std::array names{"germline-zygote",  "germline-init",     "germline-as-candidate",
                             "germline-gateway", "germline-importer", "germline-mirror",
                             "germline-stand-in"};
  const auto folder = libexec_dir(settings);
  check found{"helper programs", false, true, "",
              "install Germline whole, or say in GERMLINE_LIBEXEC where they are"};
  for (const auto* name : names) {
    const auto path = std::filesystem::path(folder) / name;
    std::error_code failed;
    const bool there = std::filesystem::exists(path, failed);
    const bool runs =
        std::filesystem::is_regular_file(path, failed) && ::access(path.c_str(), X_OK) == 0;
    if (runs) continue;
    found.detail += (found.detail.empty() ? "in " + folder + ": " : ", ") + std::string(name) +
                    (there ? " cannot be executed" : " is missing");
  }
  found.ok = found.detail.empty();
  if (found.ok) found.detail = "all " + std::to_string(names.size()) + " in " + folder;
  return found;
}

/// Which mirrors a worker of this machine would have.
check check_mirrors(const config& settings) {
  check found{"mirrors", true, false, "", ""};
  const auto read =
      worker::load_mirrors(settings.get("worker.mirrors"), settings.get("worker.mirrors_config"));
  if (!read) {
    found.ok = false;
    found.detail = read.error().message();
    found.hint = "docs/deps.md says what a mirror needs";
    return found;
  }
  for (const auto& one : *read) {
    found.detail += (found.detail.empty() ? "" : ", ") + one.name + " at " + one.url;
  }
  if (read->empty())
    found.detail = "none: genomes with [deps] cannot be served (--mirror NAME=URL)";
  return found;
}

std::vector<check> all_checks(const session& with) {
  std::vector<check> checks;
  checks.push_back({"version", true, true, std::string(version), ""});
  checks.push_back(
      {"root", ::geteuid() == 0, false,
       ::geteuid() == 0 ? "running as root" : "running as uid " + std::to_string(::geteuid()),
       "`germline up` needs root; run doctor as root for all that it can tell"});
  for (auto& probe : run_doctor()) {
    // Whether the machine could do it is not known then.
    if (!probe.ok && ::geteuid() != 0 && probe.detail.find("not permitted") != std::string::npos) {
      probe.hint = "this needs root: sudo germline doctor";
    }
    checks.push_back({"sandbox: " + probe.name, probe.ok, probe.required, std::move(probe.detail),
                      std::move(probe.hint)});
  }
  checks.push_back(check_helpers(with.settings));
  checks.push_back(check_mirrors(with.settings));
  checks.push_back({"state_dir", true, false, with.settings.get("state_dir"), ""});
  checks.push_back(check_coordinator(with));
  return checks;
}

/// The places that hold where nothing was said follow from this binary.
void resolve_default(const config& settings, setting& found) {
  if (found.key == "worker.join_token" && !found.value.empty()) found.value = "(not shown)";
  if (!found.value.empty()) return;
  if (found.key == "share_dir") {
    const auto place = default_share_place();
    found.value = place.path;
    found.origin = "default: " + place.what;
  }
  if (found.key == "libexec_dir") {
    found.value = libexec_dir(settings);
    found.origin = "default: where germline itself is";
  }
}

std::string checks_json(const std::vector<check>& checks, bool able) {
  std::string text = std::string("{\"able\": ") + (able ? "true" : "false") + ", \"checks\": [";
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const auto& one = checks[i];
    text += std::string(i == 0 ? "" : ",") + "\n  {\"name\": " + json_string(one.name) +
            ", \"ok\": " + (one.ok ? "true" : "false") +
            ", \"required\": " + (one.required ? "true" : "false") +
            ", \"detail\": " + json_string(one.detail) + ", \"hint\": " + json_string(one.hint) +
            "}";
  }
  return text + "\n]}\n";
}

}  // namespace

exit_code run_config_show(const session& with, bool origin) {
  auto settings = with.settings.all();
  for (auto& found : settings) resolve_default(with.settings, found);
  if (with.json) {
    std::string text = "{";
    for (const auto& found : settings) {
      text += std::string(text.size() == 1 ? "" : ",") + "\n  " + json_string(found.key) +
              ": {\"value\": " + json_string(found.value) +
              ", \"origin\": " + json_string(found.origin) + "}";
    }
    with.data(text + "\n}\n");
    return exit_code::done;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& found : settings) {
    rows.push_back({found.key, found.value.empty() ? "-" : safe_line(found.value)});
    if (origin) rows.back().push_back(safe_line(found.origin));
  }
  std::vector<std::string> header{"KEY", "VALUE"};
  if (origin) header.emplace_back("ORIGIN");
  const style colourless{.terminal = with.how.terminal, .columns = with.how.columns};
  if (!with.how.terminal || fits(with.how, table(colourless, header, rows))) {
    with.data(table(with.how, header, rows));
    return exit_code::done;
  }
  for (const auto& row : rows) {
    with.data(painted(with.how, paint::bold, row[0]) + "\n" + indented(with.how, row[1], 2));
    if (origin) with.data(indented(with.how, "(" + row[2] + ")", 2));
  }
  return exit_code::done;
}

exit_code run_doctor_command(const session& with) {
  const auto checks = all_checks(with);
  bool able = true;
  for (const auto& one : checks) able = able && (one.ok || !one.required);
  if (with.json) {
    with.data(checks_json(checks, able));
    return able ? exit_code::done : exit_code::failed;
  }
  for (const auto& one : checks) {
    const auto mark = one.ok         ? painted(with.how, paint::green, "ok  ")
                      : one.required ? painted(with.how, paint::red, "FAIL")
                                     : painted(with.how, paint::yellow, "warn");
    constexpr std::size_t margin = 6;  // the mark's
    const auto line = safe_line(one.name) + ": " + safe_line(one.detail);
    with.data(mark + "  " + indented(with.how, line, margin).substr(margin));
    if (!one.ok && !one.hint.empty()) {
      with.data(indented(with.how, safe_line(one.hint), margin));
    }
  }
  with.data(able ? "this machine can run Germline\n" : "something required is missing\n");
  return able ? exit_code::done : exit_code::failed;
}

}  // namespace germline::cli
