#include "cli/commands/imports.hpp"

#include <google/protobuf/util/json_util.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/render/archive.hpp"

namespace germline::cli {
namespace {

error no_archive(const std::string& file, std::size_t line, const std::string& why) {
  return {error_code::invalid_argument, file + ", line " + std::to_string(line) + ": " + why +
                                            "; write the file with `germline archive export`"};
}

/// Empty where there is no such text.
std::string text_at(const nlohmann::json& members, const char* name) {
  const auto found = members.find(name);
  return found != members.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// All of a file, or of a pipe.
result<std::string> read_text(const std::string& file) {
  constexpr std::size_t most_bytes = 256 << 20;
  std::ifstream in(file, std::ios::binary);
  if (!in) return errno_error("opening " + file, errno);
  std::string text;
  std::string piece(1 << 16, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
    text.append(piece, 0, static_cast<std::size_t>(in.gcount()));
    if (text.size() > most_bytes) {
      return error(error_code::resource_exhausted,
                   file + " has more than 256 MiB; import a part of its lines");
    }
  }
  if (in.bad()) return errno_error("reading " + file, errno);
  return text;
}

result<void> add_line(const std::string& file, std::size_t number, const std::string& text,
                      v1::GetTreeReply& tree) {
  const auto members = nlohmann::json::parse(text, nullptr, false);
  if (!members.is_object()) return no_archive(file, number, "this is no object in JSON");
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a newer version
  v1::ShowReply line;
  const auto parsed = google::protobuf::util::JsonStringToMessage(text, &line, options);
  if (!parsed.ok()) {
    return no_archive(file, number,
                      "this is no generation (" + std::string(parsed.message()) + ")");
  }
  v1::FitnessDirection direction{};
  const bool is_directed =
      v1::FitnessDirection_Parse(text_at(members, "fitness_direction"), &direction) &&
      direction != v1::FITNESS_DIRECTION_UNSPECIFIED;
  if (!line.has_generation() || !is_directed) {
    return no_archive(file, number, "there is no generation in it, or not which way is better");
  }
  const auto run = text_at(members, "run_id");
  if (tree.generations_size() > 0 &&
      (run != tree.run().run_id() || direction != tree.run().fitness_direction())) {
    return no_archive(file, number, "it is of another run than those before it");
  }
  tree.mutable_run()->set_run_id(run);
  tree.mutable_run()->set_fitness_direction(direction);
  *tree.add_generations() = line.generation();
  return {};
}

result<v1::GetTreeReply> read_archive(const std::string& file) {
  GERMLINE_TRY_ASSIGN(const auto text, read_text(file));
  v1::GetTreeReply tree;
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    GERMLINE_TRY(add_line(file, number, line, tree));
  }
  if (tree.generations_size() == 0) {
    return error(error_code::invalid_argument,
                 file + " is empty; write it with `germline archive export`");
  }
  return tree;
}

/// Of a run or a lineage that the coordinator knows.
result<v1::GetTreeReply> ask_archive(control_client& client, const std::string& target) {
  for (const char* other : {"gen_", "itm_", "att_"}) {
    if (!target.starts_with(other)) continue;
    return error(error_code::invalid_argument,
                 "--import: '" + target + "' is neither a file nor a run or a lineage");
  }
  v1::GetTreeRequest request;
  request.set_target(target);
  auto found = client.get_tree(request);
  if (!found) return found.error().within("--import: no file, and as a run");
  return found;
}

}  // namespace

result<std::vector<v1::ImportedGeneration>> find_imports(control_client& client,
                                                         const std::string& source,
                                                         std::size_t count) {
  std::error_code ignored;
  const bool is_file =
      std::filesystem::exists(source, ignored) && !std::filesystem::is_directory(source, ignored);
  GERMLINE_TRY_ASSIGN(const auto tree,
                      is_file ? read_archive(source) : ask_archive(client, source));
  std::vector<v1::ImportedGeneration> out;
  std::set<std::string> sources;  // each once
  for (const auto* each : ranking(tree)) {
    if (out.size() == count) break;
    if (each->barred() || each->parent().empty()) continue;
    const auto& its = each->source_id().empty() ? each->commit() : each->source_id();
    if (!sources.insert(its).second) continue;
    auto& one = out.emplace_back();
    one.set_generation_id(each->generation_id());
    one.set_commit(each->commit());
  }
  if (out.empty()) {
    return error(error_code::failed_precondition,
                 source + " has no generation but its seed that has a score and was not killed");
  }
  return out;
}

}  // namespace germline::cli
