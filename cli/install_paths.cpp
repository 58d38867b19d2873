#include "cli/install_paths.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

struct shipped {
  std::string_view name;
  std::string_view source_folder;
  std::string_view changes_folder = {};  // laid over it
};

constexpr std::array<shipped, 9> genomes{{
    {"builtin", "worker/agent"},
    {"circle-packing", "examples/circle-packing"},
    {"claude-code", "examples/claude-code"},
    {"codex", "examples/codex"},
    {"foreign", "examples/foreign"},
    {"opencode", "examples/opencode"},
    {"pi", "examples/pi"},
    {"task-solver", "worker/agent", "examples/task-solver"},
    {"two-second", "examples/two-second"},
}};

using folders = std::vector<std::string>;

bool is_genome(const fs::path& folder) {
  std::error_code failed;
  return fs::is_regular_file(folder / "genome.toml", failed);
}

folders installed(const shipped& genome, const fs::path& share_dir) {
  return {share_dir / "genomes" / genome.name};
}

folders in_source_tree(const shipped& genome) {
  const fs::path root = GERMLINE_SOURCE_DIR;
  folders out{root / genome.source_folder};
  if (!genome.changes_folder.empty()) out.push_back(root / genome.changes_folder);
  return out;
}

/// Places to look for one genome, the first that has it wins.
std::vector<folders> candidates(const shipped& genome, std::string_view share_dir) {
  if (!share_dir.empty()) return {installed(genome, share_dir)};
  return {installed(genome, GERMLINE_INSTALL_SHARE), in_source_tree(genome)};
}

}  // namespace

result<std::vector<std::string>> genome_folders(std::string_view name, std::string_view share_dir) {
  std::string known;
  for (const auto& genome : genomes) {
    for (const auto& place : candidates(genome, share_dir)) {
      if (!std::ranges::all_of(place, is_genome)) continue;
      if (genome.name == name) return place;
      known += (known.empty() ? "" : ", ") + std::string(genome.name);
      break;
    }
  }
  return error(error_code::not_found,
               "no genome '" + std::string(name) + "' is shipped here; " +
                   (known.empty() ? "there is none" : "there are: " + known));
}

result<std::string> price_file(std::string_view share_dir) {
  const std::vector<fs::path> places =
      share_dir.empty()
          ? std::vector<fs::path>{fs::path(GERMLINE_INSTALL_SHARE) / "prices.json",
                                  fs::path(GERMLINE_SOURCE_DIR) / "deploy/prices.json"}
          : std::vector<fs::path>{fs::path(share_dir) / "prices.json"};
  std::error_code failed;
  for (const auto& place : places) {
    if (fs::is_regular_file(place, failed)) return place.string();
  }
  return error(error_code::not_found, "no prices of models at " + places.front().string());
}

share_place default_share_place() {
  for (const auto& genome : genomes) {
    if (is_genome(fs::path(GERMLINE_INSTALL_SHARE) / "genomes" / genome.name)) {
      return {GERMLINE_INSTALL_SHARE, "as installed"};
    }
  }
  return {GERMLINE_SOURCE_DIR, "the source tree"};
}

}  // namespace germline::cli
