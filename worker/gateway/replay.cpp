#include "worker/gateway/replay.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "worker/gateway/request_difference.hpp"
#include "worker/gateway/transcript_cuts.hpp"

namespace germline::worker {
namespace {

namespace fs = std::filesystem;

/// None: the request is the one that was recorded.
std::optional<std::string> difference(const replay_question& asked,
                                      const recorded_exchange& recorded) {
  if (asked.path != recorded.path) {
    return "the path is " + std::string(asked.path) + ", recorded was " + recorded.path;
  }
  return first_difference(asked.request, recorded.request, !recorded.translated.empty());
}

/// How many bytes the requests have in common at their beginning; none: they are not alike.
std::optional<std::size_t> likeness(const replay_question& asked,
                                    const recorded_exchange& recorded) {
  if (asked.path != recorded.path) return std::nullopt;
  const auto differs = std::ranges::mismatch(asked.request, recorded.request).in1;
  return static_cast<std::size_t>(differs - asked.request.begin());
}

error none(std::string why) {
  return {error_code::not_found, std::move(why)};
}

}  // namespace

result<replay> replay::open(const std::string& place, replay_mode mode) {
  replay opened;
  opened.mode_ = mode;
  opened.place_ = place;
  std::error_code failed;
  opened.is_folder_ = fs::is_directory(place, failed);
  std::vector<std::string> files;
  if (opened.is_folder_) {
    for (fs::directory_iterator at(place, failed), end; !failed && at != end;
         at.increment(failed)) {
      if (at->path().extension() == ".jsonl") files.push_back(at->path().string());
    }
    if (failed) return errno_error("reading " + place, failed.value());
    std::ranges::sort(files);
  } else {
    files.push_back(place);
  }
  if (files.size() > max_recordings) {
    return error(error_code::resource_exhausted,
                 place + " has " + std::to_string(files.size()) + " transcripts; at most " +
                     std::to_string(max_recordings) +
                     " can be replayed: put those that are wanted into a folder of their own");
  }
  for (const auto& file : files) {
    GERMLINE_TRY_ASSIGN(auto found, read(file, mode));
    if (found) opened.recordings_.push_back(std::move(*found));
  }
  if (opened.recordings_.empty()) {
    return error(error_code::invalid_argument, place + " has no request that went to an upstream");
  }
  return opened;
}

result<std::optional<replay::recording>> replay::read(const std::string& path, replay_mode mode) {
  GERMLINE_TRY_ASSIGN(auto file, transcript_reader::open(path));
  // Lines are in the order in which requests ended; here in that in which they began.
  std::vector<std::pair<std::string, std::size_t>> begun;
  for (std::size_t i = 0; i < file.size(); ++i) {
    GERMLINE_TRY_ASSIGN(auto head, file.read_head(i));
    if (head.outcome != "refused") begun.emplace_back(std::move(head.at), i);
  }
  if (begun.empty()) return std::optional<recording>();
  std::ranges::sort(begun);
  std::vector<std::size_t> asked;
  std::vector<std::size_t> messages;
  for (const auto& [at, i] : begun) {
    asked.push_back(i);
    if (mode != replay_mode::lenient) continue;
    GERMLINE_TRY_ASSIGN(const auto whole, file.read(i));
    messages.push_back(count_messages(whole.request));
  }
  return std::optional(recording{fs::path(path).filename().string(), std::move(file),
                                 std::move(asked), std::move(messages)});
}

std::variant<recorded_exchange, replay_refusal> replay::answer(const replay_question& asked) {
  auto found = places_.find(asked.attempt_id);
  if (found == places_.end()) {
    auto& at = places_[std::string(asked.attempt_id)];
    const auto chosen = choose(asked);
    if (chosen) {
      at.recording = *chosen;
      recordings_[*chosen].taken = true;
      at.given.resize(recordings_[*chosen].asked.size());
    } else {
      at.ended = chosen.error().message();
    }
    found = places_.find(asked.attempt_id);
  }
  auto& at = found->second;
  if (!at.ended.empty()) return replay_refusal{"the replay is over: " + at.ended};
  auto given =
      mode_ == replay_mode::strict ? answer_strictly(at, asked) : answer_leniently(at, asked);
  if (given) return std::move(*given);
  const auto& why = given.error().message();
  if (mode_ == replay_mode::strict) at.ended = why;
  return replay_refusal{"the replay of " + recordings_[at.recording].name + " " +
                        (mode_ == replay_mode::strict ? "ends: " : "has no answer: ") + why};
}

result<std::size_t> replay::choose(const replay_question& asked) const {
  if (!is_folder_) return std::size_t{0};
  std::optional<std::size_t> best;
  std::size_t best_bytes = 0;
  std::string nearest;
  const auto messages = count_messages(asked.request);
  for (std::size_t i = 0; i < recordings_.size(); ++i) {
    const auto& one = recordings_[i];
    if (one.taken) continue;
    GERMLINE_TRY_ASSIGN(const auto first, one.file.read(one.asked.front()));
    if (mode_ == replay_mode::strict) {
      const auto differs = difference(asked, first);
      if (!differs) return i;
      if (nearest.empty()) nearest = "; in " + one.name + " " + *differs;
    } else if (const auto bytes = likeness(asked, first); bytes && one.messages[0] == messages) {
      if (best && *bytes <= best_bytes) continue;
      best = i;
      best_bytes = *bytes;
    }
  }
  if (best) return *best;
  return none("no transcript in " + place_ +
              (mode_ == replay_mode::strict ? " begins with this request"
                                            : " begins with a request like this") +
              ", of those that no attempt had yet" + nearest);
}

result<recorded_exchange> replay::answer_strictly(place& at, const replay_question& asked) const {
  const auto& from = recordings_[at.recording];
  const auto number = std::to_string(at.next + 1);
  if (at.next >= from.asked.size()) {
    return none("request " + number + " is one more than were recorded" +
                (from.file.is_complete() ? "" : ", and not all that were made were recorded"));
  }
  GERMLINE_TRY_ASSIGN(auto recorded, from.file.read(from.asked[at.next]));
  if (const auto differs = difference(asked, recorded)) {
    return none("request " + number + " differs: " + *differs +
                (from.file.is_complete() ? "" : "; not all that were made were recorded"));
  }
  ++at.next;
  return recorded;
}

result<recorded_exchange> replay::answer_leniently(place& at, const replay_question& asked) const {
  const auto& from = recordings_[at.recording];
  const auto messages = count_messages(asked.request);
  std::optional<std::size_t> best;
  recorded_exchange answer;
  std::size_t best_bytes = 0;
  for (std::size_t i = 0; i < from.asked.size(); ++i) {
    if (at.given[i] || from.messages[i] != messages) continue;
    GERMLINE_TRY_ASSIGN(auto recorded, from.file.read(from.asked[i]));
    const auto bytes = likeness(asked, recorded);
    if (!bytes || (best && *bytes <= best_bytes)) continue;
    best = i;
    best_bytes = *bytes;
    answer = std::move(recorded);
  }
  if (!best) {
    return none("of the recorded requests that were not answered yet none has the path " +
                std::string(asked.path) + " and " + std::to_string(messages) + " messages");
  }
  at.given[*best] = true;
  return answer;
}

void replay::forget(std::string_view attempt_id) {
  const auto found = places_.find(attempt_id);
  if (found != places_.end()) places_.erase(found);
}

}  // namespace germline::worker
