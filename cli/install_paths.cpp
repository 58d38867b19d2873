#include "cli/install_paths.hpp"

#include <array>
#include <filesystem>
#include <vector>

namespace germline::cli {
namespace {

namespace fs = std::filesystem;

struct shipped {
  std::string_view name;
  std::string_view source_folder;
};

constexpr std::array<shipped, 4> genomes{{
    {"builtin", "worker/agent"},
    {"circle-packing", "examples/circle-packing"},
    {"foreign", "examples/foreign"},
    {"two-second", "examples/two-second"},
}};

bool is_genome(const fs::path& folder) {
  std::error_code failed;
  return fs::is_regular_file(folder / "genome.toml", failed);
}

/// Places to look for one genome, the first that has it wins.
std::vector<fs::path> candidates(const shipped& genome, std::string_view share_dir) {
  std::vector<fs::path> places;
  if (!share_dir.empty()) return {fs::path(share_dir) / "genomes" / genome.name};
  places.push_back(fs::path(GERMLINE_INSTALL_SHARE) / "genomes" / genome.name);
  places.push_back(fs::path(GERMLINE_SOURCE_DIR) / genome.source_folder);
  return places;
}

}  // namespace

result<std::string> genome_folder(std::string_view name, std::string_view share_dir) {
  std::string known;
  for (const auto& genome : genomes) {
    for (const auto& place : candidates(genome, share_dir)) {
      if (!is_genome(place)) continue;
      if (genome.name == name) return place.string();
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
