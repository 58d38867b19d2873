// install_paths: where the genomes that Germline ships are: the setting share_dir, else the
// installed share folder, else the source tree that this binary was built from. Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace germline::cli {

/// The folders of the genome `name`: what a later one has takes the place of what an earlier one
/// has. not_found names the genomes that there are. An empty `share_dir` is not set.
result<std::vector<std::string>> genome_folders(std::string_view name, std::string_view share_dir);

/// The shipped prices of models. Error not_found: none are there.
result<std::string> price_file(std::string_view share_dir);

struct share_place {
  std::string path;
  std::string what;  // "installed"
};
/// Where they are taken from when share_dir is not set.
share_place default_share_place();

}  // namespace germline::cli
