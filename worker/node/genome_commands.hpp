// genome_commands: what of a genome's manifest the steps of an iteration use. Taken from the
// manifest at the parent's commit, never from the sandbox. Plain values.
#pragma once

#include <string>
#include <vector>

#include "common/manifest/genome_manifest.hpp"

namespace germline::worker {

struct genome_commands {
  std::string build;                  // run by `sh -c` in the genome's folder; empty: nothing to do
  std::vector<std::string> artefact;  // relative paths
  std::string run;
  bool result_is_push = true;                // false: "worktree"
  std::string model;                         // "anthropic", "openai", "none"
  std::string test;                          // empty: the genome has no tests of its own
  std::string report;                        // JUnit XML of the tests, relative
  std::string protected_tests;               // program, relative; empty: none
  std::vector<std::string> protected_globs;  // relative to the folder
  std::string context = "agent_context.json";
  std::string folder;       // of the genome in its repository; empty: the root
  fitness_request fitness;  // `run` is never empty where there is a command
  sandbox_request sandbox;  // what the genome asks of its sandboxes
  deps_request deps;
  /// Where on this machine what `deps` came to lies, beneath the exports root, once it is there;
  /// it is mounted in each sandbox of the genome.
  std::string deps_dir = {};
};

/// Where a sandbox has what its genome's [deps] came to, read-only.
inline constexpr const char* deps_place = "/deps";

/// Where the model is asked, on loopback inside a sandbox.
inline constexpr int gateway_port = 8'080;

/// Where the genome lies under `root`: "/workspace" or "/workspace/folder".
inline std::string genome_root(const genome_commands& commands, const std::string& root) {
  return commands.folder.empty() ? root : root + "/" + commands.folder;
}

}  // namespace germline::worker
