#include "task.hpp"

#include <time.h>

#include <algorithm>
#include <cstdlib>

#include "files.hpp"
#include "json.hpp"

namespace agent {
namespace {

using std::chrono::system_clock;

// "2026-01-02T03:04:05[.678]Z" to a time; without one, `wall_time_ms` from now.
system_clock::time_point deadline_of(const json& value) {
  tm parts{};
  const auto text = value["deadline_utc"].string_or();
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) != nullptr) {
    return system_clock::from_time_t(timegm(&parts));
  }
  return system_clock::now() + std::chrono::milliseconds(value["wall_time_ms"].integer_or(600'000));
}

}  // namespace

std::chrono::milliseconds task::left() const {
  const auto span =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - system_clock::now());
  return std::max(span, std::chrono::milliseconds(0));
}

std::chrono::milliseconds task::at_most(std::chrono::milliseconds limit) const {
  return std::max(std::min(limit, left()), std::chrono::milliseconds(1000));
}

result<task> parse_task(const std::string& text) {
  const auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object()) return error{"the task is not a JSON object"};
  const json& value = *parsed;
  if (value["contract"].integer_or() != 1) return error{"the task is not of contract 1"};
  task out;
  out.number = value["number"].integer_or();
  out.goal = value["goal"].string_or();
  for (const auto& hint : value["goal_hints"].items()) out.goal_hints.push_back(hint.string_or());
  for (const auto& note : value["notes"].items()) out.notes.push_back(note["text"].string_or());
  for (const auto& each : value["inspirations"].items()) {
    out.inspirations.push_back({each["branch"].string_or(), each["fitness"]["mean"].double_or()});
  }
  out.deadline = deadline_of(value);
  const json& budget = value["budget"];
  out.max_requests = budget["max_requests"].integer_or();
  out.max_output_tokens = budget["max_output_tokens"].integer_or();
  out.random_seed = static_cast<unsigned long long>(value["random_seed"].integer_or());
  out.workspace = value["workspace"].string_or(out.workspace);
  out.branch = value["branch"].string_or(out.branch);
  out.remote = value["remote"].string_or(out.remote);
  out.model = value["model"].string_or();
  out.context_path = value["context_path"].string_or(out.context_path);
  out.build_command = value["build_command"].string_or();
  out.test_command = value["test_command"].string_or();
  return out;
}

result<task> read_task() {
  const char* path = std::getenv("GERMLINE_TASK");
  const auto text = read_file(path != nullptr ? path : "/germline/task.json");
  if (!text) return error{text.why()};
  return parse_task(*text);
}

}  // namespace agent
