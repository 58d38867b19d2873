// The agent's memory over generations: agent_context.json. Members that the agent does not know
// survive; history is bounded by folding its oldest entries into one summary entry.
#pragma once

#include <string>

#include "json.hpp"

namespace agent {

class memory {
 public:
  /// Reads the file; an absent one is an empty memory, a broken one an error.
  static result<memory> load(const std::string& path);

  std::string goal() const { return file_["goalState"].string_or(); }
  void set_goal(const std::string& goal) { file_["goalState"] = goal; }

  /// Appends an entry with the present time. `outcome` is "success" or "failure".
  void add_entry(const std::string& action, const std::string& outcome, const std::string& details);

  /// The last entries as text for the model, newest last.
  std::string recent(std::size_t max_entries) const;
  std::size_t entries() const { return file_["history"].items().size(); }

  /// Folds the oldest entries into a summary once there are more than `max_entries`: `keep` stay.
  void compact(std::size_t max_entries, std::size_t keep);

  result<bool> save(const std::string& path) const;

 private:
  json file_ = json::of();
};

}  // namespace agent
