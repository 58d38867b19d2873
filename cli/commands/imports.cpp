#include "cli/commands/imports.hpp"

#include <google/protobuf/util/json_util.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

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

result<v1::GetTreeReply> read_archive(const std::string& file) {
  std::ifstream in(file);
  if (!in) return errno_error("opening " + file, errno);
  v1::GetTreeReply tree;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a newer version
  std::string text;
  for (std::size_t number = 1; std::getline(in, text); ++number) {
    const auto members = nlohmann::json::parse(text, nullptr, false);
    if (!members.is_object()) return no_archive(file, number, "this is no object in JSON");
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
    if (tree.generations_size() > 0 && run != tree.run().run_id()) {
      return no_archive(file, number, "it is of another run than those before it");
    }
    tree.mutable_run()->set_run_id(run);
    tree.mutable_run()->set_fitness_direction(direction);
    *tree.add_generations() = line.generation();
  }
  if (in.bad()) return errno_error("reading " + file, errno);
  return tree;
}

}  // namespace

result<std::vector<v1::ImportedGeneration>> find_imports(control_client& client,
                                                         const std::string& source,
                                                         std::size_t count) {
  v1::GetTreeReply tree;
  std::error_code ignored;
  if (std::filesystem::exists(source, ignored) && !std::filesystem::is_directory(source, ignored)) {
    GERMLINE_TRY_ASSIGN(tree, read_archive(source));
  } else {
    v1::GetTreeRequest request;
    request.set_target(source);
    auto found = client.get_tree(request);
    if (!found) return found.error().within("--import: no file, and as a run");
    tree = std::move(*found);
  }
  std::vector<v1::ImportedGeneration> out;
  for (const auto* each : ranking(tree)) {
    if (out.size() == count) break;
    if (each->barred() || each->parent().empty()) continue;
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
