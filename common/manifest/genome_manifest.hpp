// genome_manifest: what genome.toml says (schema 1), as a validated value. Not policy: its
// `[sandbox]` values are requests that the run and the node cap.
// Parsing is pure and may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline {

/// The manifest's place in the genome's folder. It is always protected.
inline constexpr std::string_view genome_manifest_path = "genome.toml";
inline constexpr std::size_t genome_manifest_bytes_max = 64 * 1024;

enum class result_mode { push, worktree };
enum class model_kind { anthropic, openai, none };
enum class fitness_direction { maximize, minimize };

std::string_view to_string(result_mode mode) noexcept;
std::string_view to_string(model_kind kind) noexcept;
std::string_view to_string(fitness_direction direction) noexcept;

/// What a genome asks of its sandbox; 0 means that it does not ask.
struct sandbox_request {
  std::int64_t memory_bytes = 0;
  std::int64_t disk_bytes = 0;
  std::int64_t wall_time_ms = 0;
  std::int64_t cpu_milli = 0;  // 1000 = one CPU
  std::int64_t pids = 0;
};

/// How generations are measured.
struct fitness_request {
  std::string command;  // the evaluator's command line, in the seed's folder; empty: no fitness
  std::string run;      // the candidate's command line; empty: as [agent] run
  fitness_direction direction = fitness_direction::maximize;
  int evaluations = 1;        // of each generation
  int elite_evaluations = 0;  // of the best so far, until it has so many; 0: no more than others
  std::int64_t wall_time_ms = 0;        // of each evaluation; 0: the default
  model_kind model = model_kind::none;  // that the candidate may ask; the evaluator has none
};
inline constexpr int evaluations_max = 100;
inline constexpr int elite_evaluations_max = 1'000;
// With less the bounds of a mean are so wide, or not known, that who is measured again only loses.
inline constexpr int evaluations_min_for_elite = 3;

// Of [deps].
inline constexpr std::int64_t deps_wall_ms_max = 30 * 60'000;
inline constexpr std::int64_t deps_disk_bytes_max = std::int64_t{4} << 30;

/// What the genome's sandboxes find at /deps: what `command` leaves in a folder with `files` alone.
struct deps_request {
  std::vector<std::string> files;    // clean relative paths, always protected; empty: no [deps]
  std::string command;               // run by `sh -c`
  std::vector<std::string> mirrors;  // names of what it may fetch from, in order, none twice
  std::int64_t wall_time_ms = 0;     // 0: the node's default
  std::int64_t disk_bytes = 0;       // of all that it leaves; 0: the node's default
};

struct genome_manifest {
  std::string name;
  std::string context = "agent_context.json";  // relative path of the context file

  std::string build;                  // run by `sh -c`; empty: nothing to build
  std::vector<std::string> artefact;  // clean relative paths, files or folders; never empty
  std::string run;                    // command line; starts with a path of the artefact, usually
  result_mode result = result_mode::push;
  model_kind model = model_kind::anthropic;

  std::string test_command;  // empty: the genome has no tests of its own
  std::string test_report;   // JUnit XML; set exactly when test_command is

  std::vector<std::string> protected_paths;  // globs; genome.toml and deps.files are among them
  std::string protected_tests;               // program; empty: none

  fitness_request fitness;

  deps_request deps;

  sandbox_request sandbox;
};

/// Reads genome.toml. Every error says where (`source:line`), what is wrong, and what would be
/// right. An unknown key is an error that names the nearest known one.
result<genome_manifest> parse_genome_manifest(std::string_view text,
                                              std::string_view source = genome_manifest_path);

}  // namespace germline
