#include "worker/node/commands_of.hpp"

#include "common/git/source_id.hpp"
#include "common/manifest/genome_manifest.hpp"

namespace germline::worker {

result<genome_commands> commands_of(const std::string& genome_toml, const std::string& folder) {
  GERMLINE_TRY_ASSIGN(auto manifest, parse_genome_manifest(genome_toml));
  genome_commands commands;
  commands.build = std::move(manifest.build);
  commands.artefact = std::move(manifest.artefact);
  commands.run = std::move(manifest.run);
  commands.result_is_push = manifest.result == result_mode::push;
  commands.model = std::string(to_string(manifest.model));
  commands.test = std::move(manifest.test_command);
  commands.report = std::move(manifest.test_report);
  commands.protected_tests = std::move(manifest.protected_tests);
  commands.context = std::move(manifest.context);
  commands.folder = folder;
  commands.fitness = std::move(manifest.fitness);
  if (commands.fitness.run.empty()) commands.fitness.run = commands.run;
  commands.sandbox = manifest.sandbox;
  commands.deps = std::move(manifest.deps);
  commands.protected_globs = std::move(manifest.protected_paths);
  return commands;
}

std::string build_id_of(const std::string& source_id, const std::string& base_digest,
                        const genome_commands& commands) {
  return git::build_id(source_id, base_digest, commands.build, commands.artefact);
}

}  // namespace germline::worker
