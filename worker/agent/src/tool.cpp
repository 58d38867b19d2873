#include "tool.hpp"

#include <exception>

namespace agent {

#define TOOL(make) tool make(tool_env& env);
#include "tools/list.inc"
#undef TOOL

std::vector<tool> all_tools(tool_env& env) {
  return {
#define TOOL(make) make(env),
#include "tools/list.inc"
#undef TOOL
  };
}

namespace {

bool has_type(const json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_integer();
  if (type == "boolean") return value.is_bool();
  if (type == "array") return value.is_array();
  return true;
}

// What is wrong with `input`, or nothing.
std::string complaint(const json& schema, const json& input) {
  if (!input.is_object()) return "the input is not a JSON object";
  for (const auto& name : schema["required"].items()) {
    if (!input.has(name.string_or())) {
      return "the required member '" + name.string_or() + "' is missing";
    }
  }
  const json& properties = schema["properties"];
  for (const auto& [name, value] : input.members()) {
    if (!properties.has(name)) return "there is no member '" + name + "'";
    const auto type = properties[name]["type"].string_or();
    if (!has_type(value, type)) return "member '" + name + "' is not of type " + type;
  }
  return {};
}

}  // namespace

tool_result call_tool(const std::vector<tool>& tools, const std::string& name, const json& input) {
  std::string names;
  for (const auto& candidate : tools) {
    names += (names.empty() ? "" : ", ") + candidate.name;
    if (candidate.name != name) continue;
    const auto schema = json::parse(candidate.input_schema);
    const auto wrong = schema ? complaint(*schema, input) : "the tool's schema is not JSON";
    if (!wrong.empty()) {
      return {"Not run: " + wrong + ". The input's schema is " + candidate.input_schema, true};
    }
    try {
      return candidate.run(input);
    } catch (const std::exception& thrown) {
      return {name + " failed: " + thrown.what(), true};
    }
  }
  return {"Not run: there is no tool '" + name + "'. The tools are: " + names, true};
}

json describe_tools(const std::vector<tool>& tools) {
  json out = json::list();
  for (const auto& each : tools) {
    const auto schema = json::parse(each.input_schema);
    out.push_back(json::of({{"name", each.name},
                            {"description", each.description},
                            {"input_schema", schema ? *schema : json::of({{"type", "object"}})}}));
  }
  return out;
}

}  // namespace agent
