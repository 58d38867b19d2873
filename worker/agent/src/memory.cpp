#include "memory.hpp"

#include <time.h>

#include <filesystem>

#include "bounded_output.hpp"
#include "files.hpp"

namespace agent {
namespace {

std::string utc_now() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string one_line(const json& entry) {
  return entry["timestamp"].string_or() + " " + entry["result"].string_or() + ": " +
         bounded(entry["action"].string_or(), 200, 0);
}

}  // namespace

result<memory> memory::load(const std::string& path) {
  memory out;
  if (!std::filesystem::exists(path)) return out;
  const auto text = read_file(path);
  if (!text) return error{text.why()};
  const auto parsed = json::parse(*text);
  if (!parsed || !parsed->is_object()) return error{path + " is not a JSON object"};
  out.file_ = *parsed;
  return out;
}

void memory::add_entry(const std::string& action, const std::string& outcome,
                       const std::string& details) {
  file_["history"].push_back(json::of({{"timestamp", utc_now()},
                                       {"action", bounded(action, 500, 0)},
                                       {"result", outcome},
                                       {"details", bounded(details, 3000, 1000)}}));
}

std::string memory::recent(std::size_t max_entries) const {
  const auto& all = file_["history"].items();
  std::string out;
  for (std::size_t i = all.size() - std::min(all.size(), max_entries); i < all.size(); ++i) {
    out += one_line(all[i]) + "\n  " + bounded(all[i]["details"].string_or(), 3000, 1000) + "\n";
  }
  return out.empty() ? "(none)\n" : out;
}

void memory::compact(std::size_t max_entries, std::size_t keep) {
  auto& all = file_["history"].mutable_items();
  if (all.size() <= max_entries) return;
  const auto folded = static_cast<std::ptrdiff_t>(all.size() - keep);
  bounded_output digest(4000, 8000);
  for (auto at = all.begin(); at != all.begin() + folded; ++at) {
    digest.append(one_line(*at) + "\n");
    if ((*at)["summary"].bool_or()) digest.append((*at)["details"].string_or() + "\n");
  }
  auto summary = json::of({{"timestamp", (*(all.begin() + folded - 1))["timestamp"]},
                           {"action", "summary of " + std::to_string(folded) + " earlier entries"},
                           {"result", "success"},
                           {"details", digest.text()},
                           {"summary", true}});
  all.erase(all.begin(), all.begin() + folded);
  all.insert(all.begin(), std::move(summary));
}

result<bool> memory::save(const std::string& path) const {
  json out = file_;
  if (!out["goalState"].is_string()) out["goalState"] = "";
  if (!out["history"].is_array()) out["history"] = json::list();
  return write_file(path, out.text(2) + "\n");
}

}  // namespace agent
