#include "common/manifest/genome_manifest.hpp"

#include <algorithm>

#include "common/git/tree.hpp"
#include "common/manifest/toml_reader.hpp"
#include "common/text/glob.hpp"
#include "common/text/mirrors.hpp"

namespace germline {
namespace {

constexpr std::size_t command_bytes_max = 16 * 1024;
constexpr std::size_t list_max = 256;
const std::vector<std::string_view> model_words = {"anthropic", "openai", "none"};

/// Notes an error unless a set value is a clean relative path.
void check_path(toml_reader& reader, std::string_view key, const std::string& value) {
  if (!is_clean_relative_path(value)) {
    reader.fail(key, "has '" + value.substr(0, 128) +
                         "'; write a relative path without '..', such as \"build/agent\"");
  } else if (const auto judged = git::judge_path(value); !judged) {
    reader.fail(key, "has '" + value.substr(0, 128) + "': " + judged.error().message());
  }
}

/// As check_path, for the parts of a pattern that are names; no tree has one that is refused.
void check_pattern_names(toml_reader& reader, std::string_view key, std::string_view pattern) {
  for (auto rest = pattern; !rest.empty();) {
    const auto part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part.find_first_of("*?") != std::string_view::npos) continue;
    if (const auto judged = git::judge_name(part); !judged) {
      reader.fail(key,
                  "has '" + std::string(pattern.substr(0, 128)) + "': " + judged.error().message());
      return;
    }
  }
}

void check_command(toml_reader& reader, std::string_view key, const std::string& value) {
  if (value.empty()) reader.fail(key, "is empty; leave the key out, or write a command");
  if (value.size() > command_bytes_max) reader.fail(key, "is longer than 16 KiB");
}

result<void> read_genome(const toml::table* table, std::string_view source, genome_manifest& out) {
  toml_reader reader(table, source, "[genome]");
  if (auto name = reader.text("name")) {
    out.name = std::move(*name);
    const bool good = !out.name.empty() && out.name.size() <= 64 &&
                      std::all_of(out.name.begin(), out.name.end(), [](char c) {
                        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
                      });
    if (!good) reader.fail("name", "must have 1 to 64 letters, digits, '-', '_' or '.'");
  } else {
    reader.require("name", "name = \"my-agent\"");
  }
  if (auto context = reader.text("context")) {
    out.context = std::move(*context);
    check_path(reader, "context", out.context);
    if (out.context == genome_manifest_path) reader.fail("context", "is the manifest itself");
  }
  return reader.finish();
}

result<void> read_agent(const toml::table* table, std::string_view source, genome_manifest& out) {
  toml_reader reader(table, source, "[agent]");
  if (auto build = reader.text("build")) {
    out.build = std::move(*build);
    check_command(reader, "build", out.build);
  }
  if (auto artefact = reader.texts("artefact")) {
    out.artefact = std::move(*artefact);
    for (const auto& path : out.artefact) check_path(reader, "artefact", path);
    if (out.artefact.empty() || out.artefact.size() > list_max) {
      reader.fail("artefact", "must list 1 to 256 paths");
    }
  } else {
    reader.require("artefact", "artefact = [\"build/agent\"]");
  }
  if (auto run = reader.text("run")) {
    out.run = std::move(*run);
    check_command(reader, "run", out.run);
  } else {
    reader.require("run", "run = \"build/agent\"");
  }
  if (const auto mode = reader.choice("result", {"push", "worktree"})) {
    out.result = static_cast<result_mode>(*mode);
  }
  if (const auto kind = reader.choice("model", model_words)) {
    out.model = static_cast<model_kind>(*kind);
  }
  return reader.finish();
}

result<void> read_test(const toml::table* table, std::string_view source, genome_manifest& out) {
  toml_reader reader(table, source, "[test]");
  if (auto command = reader.text("command")) {
    out.test_command = std::move(*command);
    check_command(reader, "command", out.test_command);
  } else if (table != nullptr) {
    reader.require("command", "command = \"sh test.sh\", or leave [test] out");
  }
  if (auto report = reader.text("report")) {
    out.test_report = std::move(*report);
    check_path(reader, "report", out.test_report);
  } else if (table != nullptr) {
    reader.require("report", "report = \"build/junit.xml\"");
  }
  return reader.finish();
}

result<void> read_protect(const toml::table* table, std::string_view source, genome_manifest& out) {
  toml_reader reader(table, source, "[protect]");
  if (auto paths = reader.texts("paths")) {
    out.protected_paths = std::move(*paths);
    if (out.protected_paths.size() > list_max) reader.fail("paths", "lists more than 256 paths");
    for (const auto& pattern : out.protected_paths) {
      if (auto checked = check_glob(pattern); !checked) {
        reader.fail("paths", "is wrong: " + checked.error().message());
        continue;
      }
      check_pattern_names(reader, "paths", pattern);
      if (glob_matches(pattern, out.context)) {
        reader.fail("paths", "has '" + pattern + "', which covers the context file '" +
                                 out.context + "'; the context must be free to change");
      }
    }
  }
  if (auto tests = reader.text("tests")) {
    out.protected_tests = std::move(*tests);
    check_path(reader, "tests", out.protected_tests);
    const bool covered = std::any_of(
        out.protected_paths.begin(), out.protected_paths.end(),
        [&](const auto& pattern) { return glob_matches(pattern, out.protected_tests); });
    if (!covered) {
      reader.fail("tests", "has '" + out.protected_tests +
                               "', which no pattern of `paths` covers; add it to `paths`");
    }
  }
  if (std::find(out.protected_paths.begin(), out.protected_paths.end(), genome_manifest_path) ==
      out.protected_paths.end()) {
    out.protected_paths.emplace_back(genome_manifest_path);
  }
  return reader.finish();
}

result<void> read_fitness(const toml::table* table, std::string_view source, genome_manifest& out) {
  toml_reader reader(table, source, "[fitness]");
  if (auto command = reader.text("command")) {
    out.fitness.command = std::move(*command);
    check_command(reader, "command", out.fitness.command);
  } else if (table != nullptr) {
    reader.require("command", "command = \"protected/evaluate\", or leave [fitness] out");
  }
  if (const auto direction = reader.choice("direction", {"maximize", "minimize"})) {
    out.fitness.direction = static_cast<fitness_direction>(*direction);
  }
  if (auto run = reader.text("run")) {
    out.fitness.run = std::move(*run);
    check_command(reader, "run", out.fitness.run);
  }
  if (const auto count = reader.whole("evaluations", 1, evaluations_max)) {
    out.fitness.evaluations = static_cast<int>(*count);
  }
  if (const auto count = reader.whole("elite_evaluations", 1, elite_evaluations_max)) {
    out.fitness.elite_evaluations = static_cast<int>(*count);
    if (out.fitness.evaluations < evaluations_min_for_elite) {
      reader.fail(
          "elite_evaluations",
          "needs at least " + std::to_string(evaluations_min_for_elite) +
              " evaluations, since less do not say how sure a mean is; write evaluations = " +
              std::to_string(evaluations_min_for_elite));
    } else if (out.fitness.elite_evaluations <= out.fitness.evaluations) {
      reader.fail("elite_evaluations", "must be more than evaluations, " +
                                           std::to_string(out.fitness.evaluations) +
                                           "; or leave it out");
    }
  }
  if (const auto kind = reader.choice("model", model_words)) {
    out.fitness.model = static_cast<model_kind>(*kind);
  }
  if (const auto wall_ms = reader.duration_ms("wall_time")) {
    out.fitness.wall_time_ms = *wall_ms;
    if (*wall_ms < 1'000) reader.fail("wall_time", "is too small; write at least \"1s\"");
  }
  return reader.finish();
}

/// One of the files that the command of [deps] sees.
void check_deps_file(toml_reader& reader, const std::string& path, const genome_manifest& out) {
  check_path(reader, "files", path);
  if (path.find_first_of("*?") != std::string::npos) {
    reader.fail("files", "has '" + path.substr(0, 128) + "'; name each file, without '*' or '?'");
  } else if (path == out.context) {
    reader.fail("files", "has the context file '" + path +
                             "'; these files never change, and the context must be free to");
  } else if (path == genome_manifest_path) {
    reader.fail("files", "has the manifest itself; name what the command reads");
  }
}

/// After [genome] and [protect]: its files are protected, and none is the context.
result<void> read_deps(const toml::table* table, std::string_view source, genome_manifest& out) {
  constexpr std::size_t files_max = 64;
  if (table == nullptr) return {};
  toml_reader reader(table, source, "[deps]");
  auto& deps = out.deps;
  if (auto files = reader.texts("files")) {
    deps.files = std::move(*files);
    if (deps.files.empty() || deps.files.size() > files_max) {
      reader.fail("files", "must list 1 to 64 files");
    }
    for (const auto& path : deps.files) {
      check_deps_file(reader, path, out);
      if (std::count(deps.files.begin(), deps.files.end(), path) > 1) {
        reader.fail("files", "has '" + path.substr(0, 128) + "' twice");
      }
    }
  } else {
    reader.require("files", "files = [\"package.json\", \"package-lock.json\"]");
  }
  if (auto command = reader.text("command")) {
    deps.command = std::move(*command);
    if (deps.command.empty()) {
      reader.fail("command",
                  "is empty; write what fetches, such as \"npm ci --ignore-scripts\", or leave the "
                  "section out");
    } else {
      check_command(reader, "command", deps.command);
    }
  } else {
    reader.require("command", "command = \"npm ci --ignore-scripts\"");
  }
  if (auto mirrors = reader.texts("mirrors")) {
    deps.mirrors = std::move(*mirrors);
    if (deps.mirrors.empty() || deps.mirrors.size() > 8) {
      reader.fail("mirrors", "must list 1 to 8 mirrors, such as \"npm\"");
    }
    for (const auto& name : deps.mirrors) {
      if (!is_mirror_name(name)) {
        reader.fail("mirrors", "has '" + name.substr(0, 64) +
                                   "'; a mirror's name has 1 to 32 of a-z, 0-9 and '-', and "
                                   "begins with a letter");
      } else if (std::count(deps.mirrors.begin(), deps.mirrors.end(), name) > 1) {
        reader.fail("mirrors", "has '" + name + "' twice");
      }
    }
  } else {
    reader.require("mirrors", "mirrors = [\"npm\"]");
  }
  if (const auto wall_ms = reader.duration_ms("wall_time")) {
    deps.wall_time_ms = *wall_ms;
    if (*wall_ms < 1'000) reader.fail("wall_time", "is too small; write at least \"1s\"");
    if (*wall_ms > deps_wall_ms_max) {
      reader.fail("wall_time", "is more than a fetch may have; write at most \"30m\"");
    }
  }
  if (const auto bytes = reader.size_bytes("disk")) {
    deps.disk_bytes = *bytes;
    if (*bytes < 1 << 20) reader.fail("disk", "is too small; write at least \"1MiB\"");
    if (*bytes > deps_disk_bytes_max) {
      reader.fail("disk", "is more than a fetch may leave; write at most \"4GiB\"");
    }
  }
  for (const auto& path : deps.files) {
    auto& all = out.protected_paths;
    if (std::find(all.begin(), all.end(), path) == all.end()) all.push_back(path);
  }
  return reader.finish();
}

result<void> read_sandbox(const toml::table* table, std::string_view source, genome_manifest& out) {
  toml_reader reader(table, source, "[sandbox]");
  auto& wanted = out.sandbox;
  const auto at_least = [&](std::string_view key, std::optional<std::int64_t> value,
                            std::int64_t least, std::string_view right, std::int64_t& field) {
    if (!value) return;
    field = *value;
    if (field < least) reader.fail(key, "is too small; write at least " + std::string(right));
  };
  at_least("memory", reader.size_bytes("memory"), 16 << 20, "\"16MiB\"", wanted.memory_bytes);
  at_least("disk", reader.size_bytes("disk"), 1 << 20, "\"1MiB\"", wanted.disk_bytes);
  at_least("wall_time", reader.duration_ms("wall_time"), 1'000, "\"1s\"", wanted.wall_time_ms);
  if (const auto cpus = reader.number("cpus", 0.05, 1'024)) {
    wanted.cpu_milli = static_cast<std::int64_t>(*cpus * 1'000 + 0.5);
  }
  if (const auto pids = reader.whole("pids", 4, 1'000'000)) wanted.pids = *pids;
  return reader.finish();
}

}  // namespace

std::string_view to_string(result_mode mode) noexcept {
  return mode == result_mode::push ? "push" : "worktree";
}

std::string_view to_string(model_kind kind) noexcept {
  switch (kind) {
    case model_kind::anthropic:
      return "anthropic";
    case model_kind::openai:
      return "openai";
    case model_kind::none:
      return "none";
  }
  return "none";
}

std::string_view to_string(fitness_direction direction) noexcept {
  return direction == fitness_direction::maximize ? "maximize" : "minimize";
}

result<genome_manifest> parse_genome_manifest(std::string_view text, std::string_view source) {
  GERMLINE_TRY_ASSIGN(const auto root, parse_toml(text, source, genome_manifest_bytes_max));
  toml_reader reader(&root, source, "");
  if (!reader.whole("schema", 1, 1)) reader.require("schema", "schema = 1");
  const auto* genome = reader.table("genome");
  const auto* agent = reader.table("agent");
  const auto* test = reader.table("test");
  const auto* protect = reader.table("protect");
  const auto* fitness = reader.table("fitness");
  const auto* deps = reader.table("deps");
  const auto* sandbox = reader.table("sandbox");
  if (genome == nullptr) reader.require("genome", "[genome] with name = \"my-agent\"");
  if (agent == nullptr) reader.require("agent", "[agent] with artefact and run");
  GERMLINE_TRY(reader.finish());
  genome_manifest manifest;
  GERMLINE_TRY(read_genome(genome, source, manifest));
  GERMLINE_TRY(read_agent(agent, source, manifest));
  GERMLINE_TRY(read_test(test, source, manifest));
  GERMLINE_TRY(read_protect(protect, source, manifest));
  GERMLINE_TRY(read_fitness(fitness, source, manifest));
  GERMLINE_TRY(read_deps(deps, source, manifest));
  GERMLINE_TRY(read_sandbox(sandbox, source, manifest));
  return manifest;
}

}  // namespace germline
