// Tool `str_replace_based_edit_tool`: files, seen and changed exactly.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "bounded_output.hpp"
#include "files.hpp"
#include "text_edit.hpp"
#include "tool.hpp"

namespace agent {
namespace {

namespace fs = std::filesystem;

// Entries of a folder, two levels deep, sorted, hidden ones left out.
std::string list_folder(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, code);
  for (; !code && at != fs::recursive_directory_iterator(); at.increment(code)) {
    const bool hidden = at->path().filename().string().starts_with(".");
    if (at.depth() >= 1 || hidden) at.disable_recursion_pending();
    if (hidden) continue;
    std::error_code ignored;
    const bool is_folder = at->is_directory(ignored);
    names.push_back(fs::relative(at->path(), folder, ignored).string() + (is_folder ? "/" : ""));
    if (names.size() >= 2000) break;
  }
  std::sort(names.begin(), names.end());
  std::string out = folder.string() + "/ (two levels, hidden entries left out)\n";
  for (const auto& name : names) out += name + "\n";
  if (names.size() >= 2000) out += "[more entries were left out]\n";
  return out;
}

tool_result view(const fs::path& path, const json& input) {
  std::error_code code;
  if (fs::is_directory(path, code)) return {bounded(list_folder(path), 20'000, 4'000), false};
  const auto text = read_file(path);
  if (!text) return {text.why() + ". View its folder to see what there is.", true};
  long long first = 1, last = -1;
  if (input.has("view_range")) {
    const auto& range = input["view_range"].items();
    const bool two = range.size() == 2 && range[0].is_integer() && range[1].is_integer();
    if (!two) return {"view_range takes two integers, [first, last]; last may be -1.", true};
    first = range[0].integer_or();
    last = range[1].integer_or();
  }
  const auto lines = numbered_lines(*text, first, last);
  if (!lines) return {lines.why(), true};
  auto shown = bounded(*lines, 24'000, 8'000);
  if (shown.size() < lines->size()) shown += "[too long to show whole: use view_range]\n";
  if (uses_crlf(*text)) shown += "[lines end with CRLF]\n";
  return {shown, false};
}

tool_result save(const fs::path& path, const std::string& bytes, const std::string& what) {
  const auto written = write_file(path, bytes);
  if (!written) return {written.why(), true};
  return {what + " " + path.string() + " (" + std::to_string(bytes.size()) + " bytes).", false};
}

tool_result create(const fs::path& path, const json& input) {
  std::error_code code;
  if (fs::exists(fs::symlink_status(path, code))) {
    return {path.string() +
                " exists already and was not changed. Use str_replace or insert to edit "
                "it, or write to replace it whole.",
            true};
  }
  return save(path, input["file_text"].string_or(), "Created");
}

// The old bytes go outside the workspace, so that no commit takes them.
result<std::string> back_up(const fs::path& path) {
  const auto old = read_file(path);
  if (!old) return error{old.why()};
  const char* home = std::getenv("HOME");
  fs::path copy = fs::path(home != nullptr ? home : "/tmp") / ".agent-backups";
  std::error_code code;
  fs::create_directories(copy, code);
  int number = 1;
  const auto name = path.filename().string();
  while (fs::exists(copy / (name + "." + std::to_string(number)), code)) ++number;
  copy /= name + "." + std::to_string(number);
  if (const auto written = write_file(copy, *old); !written) return error{written.why()};
  return copy.string();
}

tool_result write_whole(const fs::path& path, const json& input) {
  std::error_code code;
  if (!fs::exists(path, code)) return save(path, input["file_text"].string_or(), "Created");
  const auto backup = back_up(path);
  if (!backup) return {"Not written, since no backup could be made: " + backup.why(), true};
  auto done = save(path, input["file_text"].string_or(), "Replaced");
  done.text += " The old text is in " + *backup + ".";
  return done;
}

tool_result edit(const fs::path& path, const result<std::string>& edited) {
  if (!edited) return {path.string() + " was not changed: " + edited.why(), true};
  return save(path, *edited, "Edited");
}

// Which members a command needs besides path.
std::vector<std::string> needs(const std::string& command) {
  if (command == "create" || command == "write") return {"file_text"};
  if (command == "str_replace") return {"old_str"};
  if (command == "insert") return {"insert_line"};
  return {};
}

tool_result dispatch(const std::string& workspace, const json& input) {
  const auto command = input["command"].string_or();
  for (const auto& member : needs(command)) {
    if (!input.has(member)) return {command + " needs the member " + member + ".", true};
  }
  const fs::path path = fs::path(workspace) / input["path"].string_or();
  if (command == "view") return view(path, input);
  if (command == "create") return create(path, input);
  if (command == "write") return write_whole(path, input);
  if (command != "str_replace" && command != "insert") {
    return {
        "There is no command '" + command + "'. Use view, create, write, str_replace or insert.",
        true};
  }
  const auto text = read_file(path);
  if (!text) return {text.why() + ". Use create for a new file.", true};
  if (command == "str_replace") {
    return edit(path,
                replace_once(*text, input["old_str"].string_or(), input["new_str"].string_or()));
  }
  if (!input.has("insert_text") && !input.has("new_str")) {
    return {"insert needs the member insert_text.", true};
  }
  const auto fresh = input["insert_text"].string_or(input["new_str"].string_or());
  return edit(path, insert_lines(*text, input["insert_line"].integer_or(), fresh));
}

constexpr const char* schema = R"({"type": "object", "required": ["command", "path"],
  "properties": {
  "command": {"type": "string", "enum": ["view", "create", "write", "str_replace", "insert"]},
  "path": {"type": "string", "description": "absolute, or relative to the workspace"},
  "view_range": {"type": "array", "items": {"type": "integer"},
    "description": "view: [first, last], from 1; last -1: to the end"},
  "file_text": {"type": "string", "description": "create, write: the whole content"},
  "old_str": {"type": "string",
    "description": "str_replace: what is there now, exactly; it must occur once"},
  "new_str": {"type": "string", "description": "str_replace: what to put there; absent: nothing"},
  "insert_line": {"type": "integer",
    "description": "insert: the line to insert behind; 0: the start"},
  "insert_text": {"type": "string", "description": "insert: the lines to put in"}}})";

}  // namespace

tool edit_tool(tool_env& env) {
  return {
      "str_replace_based_edit_tool",
      "Views and edits files. view: a file with line numbers (view_range for a part), or a folder "
      "two "
      "levels deep. create: a new file with the folders it needs; a file that exists is refused. "
      "write: a whole file, new or not, atomically; the old text is kept in a backup that the "
      "answer "
      "names. str_replace: old_str must occur exactly once. insert: lines behind insert_line. "
      "Bytes "
      "that are not named stay as they are; in a file of CRLF lines, LF in the texts means CRLF. "
      "Paths may be relative to the workspace.",
      schema,
      [&env](const json& input) { return dispatch(env.work.workspace, input); },
  };
}

}  // namespace agent
