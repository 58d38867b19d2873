#include "common/text/tags.hpp"

#include <algorithm>

#include "common/log.hpp"

namespace germline {
namespace {

constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789._=/-";

}  // namespace

result<void> check_tag(std::string_view tag) {
  const auto shown = "'" + printable(std::string(tag.substr(0, tag_bytes_max))) + "'";
  if (tag.empty()) return error(error_code::invalid_argument, "a tag is empty");
  if (tag.size() > tag_bytes_max) {
    return error(error_code::invalid_argument, "the tag " + shown + "... has " +
                                                   std::to_string(tag.size()) + " bytes; at most " +
                                                   std::to_string(tag_bytes_max) + " are taken");
  }
  if (tag.find_first_not_of(allowed) == std::string_view::npos) return {};
  return error(error_code::invalid_argument,
               shown +
                   " is no tag: write it with a to z, 0 to 9 and . _ = / - alone, such as gpu "
                   "or zone=a");
}

result<std::vector<std::string>> checked_tags(std::vector<std::string> tags) {
  for (const auto& tag : tags) GERMLINE_TRY(check_tag(tag));
  std::ranges::sort(tags);
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  if (tags.size() > tags_max) {
    return error(error_code::invalid_argument, std::to_string(tags.size()) +
                                                   " tags are given; at most " +
                                                   std::to_string(tags_max) + " are taken");
  }
  return tags;
}

result<std::vector<std::string>> parse_tags(std::string_view comma_separated) {
  const auto trimmed = [](std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
  };
  std::vector<std::string> tags;
  if (trimmed(comma_separated).empty()) return tags;
  while (true) {
    const auto comma = comma_separated.find(',');
    tags.emplace_back(trimmed(comma_separated.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    comma_separated.remove_prefix(comma + 1);
  }
  return checked_tags(std::move(tags));
}

std::string join_tags(const std::vector<std::string>& tags, std::string_view between) {
  std::string text;
  for (const auto& tag : tags) {
    if (!text.empty()) text += between;
    text += tag;
  }
  return text;
}

bool has_tags(const std::vector<std::string>& have, const std::vector<std::string>& wanted) {
  return std::ranges::includes(have, wanted);
}

}  // namespace germline
