#include "worker/gateway/replay.hpp"

#include <algorithm>
#include <filesystem>
#include <tuple>
#include <utility>

#include "common/hash.hpp"
#include "common/log.hpp"
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

/// How many bytes the requests have in common at their beginning.
std::size_t likeness(std::string_view asked, std::string_view recorded) {
  return static_cast<std::size_t>(std::ranges::mismatch(asked, recorded).in1 - asked.begin());
}

/// What of a recording is not there, for who wonders that it differs; empty: nothing is known to be
/// missing.
std::string missing_in(const transcript_reader& file) {
  if (!file.ends_whole()) return "; its file is cut off in its last line";
  if (file.damaged_lines() > 0) {
    return "; lines of its file that are damaged: " + std::to_string(file.damaged_lines());
  }
  return file.is_complete() ? "" : "; not all that were made were recorded";
}

std::string counted_messages(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " message" : " messages");
}

/// What never went to an upstream, since none was free. What the gateway counted itself stays: who
/// counts will ask again.
bool was_asked(const recorded_exchange& head) {
  if (head.outcome == "refused") return false;
  return !(head.upstream.empty() && head.outcome == "not_billed");
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
  std::optional<error> first;
  for (const auto& file : files) {
    auto found = read(file, mode);
    if (!found && !opened.is_folder_) return found.error();
    if (!found) {
      log_warning("left out of the replay: {}", found.error().message());
      if (!first) first = found.error();
    } else if (*found) {
      opened.recordings_.push_back(std::move(**found));
    }
  }
  if (opened.recordings_.empty()) {
    if (first) return *first;
    return error(error_code::not_found, place + " has no request that went to an upstream");
  }
  return opened;
}

result<std::optional<replay::recording>> replay::read(const std::string& path, replay_mode mode) {
  std::error_code failed;  // a link that an operator made is followed, here and nowhere else
  const auto real = fs::canonical(path, failed);
  if (failed) return errno_error("looking at " + path, failed.value());
  GERMLINE_TRY_ASSIGN(auto file, transcript_reader::open(real.string()));
  // Lines are in the order in which requests ended; here in that in which they began.
  std::vector<std::tuple<std::string, std::int64_t, std::size_t>> begun;
  for (std::size_t i = 0; i < file.size(); ++i) {
    auto head = file.read_head(i);
    if (!head) return head.error().within(path);
    if (was_asked(*head)) begun.emplace_back(std::move(head->at), head->serial, i);
  }
  if (begun.empty()) return std::optional<recording>();
  std::ranges::sort(begun);
  recording made{fs::path(path).filename().string(), std::move(file), {}, {}};
  for (const auto& [began, serial, i] : begun) {
    auto& one = made.asked.emplace_back(entry{.at = i});
    if (mode == replay_mode::strict && made.asked.size() > 1) continue;
    auto known = index(made.file, i);
    if (!known) return known.error().within(path);
    one = std::move(*known);
    if (mode == replay_mode::lenient) {
      made.by_likes[one.like].push_back(made.asked.size() - 1);
    }
  }
  made.file.forget_unpacked();
  const auto missing = missing_in(made.file);
  if (!missing.empty()) log_warning("of what {} replays not all is there{}", path, missing);
  return std::optional(std::move(made));
}

result<replay::entry> replay::index(const transcript_reader& file, std::size_t at) {
  GERMLINE_TRY_ASSIGN(const auto whole, file.read(at));
  entry made{at,
             {whole.path, count_messages(whole.request)},
             whole.request.size(),
             sha256_hex(whole.request),
             {}};
  if (!whole.translated.empty()) made.own_words = sha256_hex(own_words(whole.request));
  return made;
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
  if (!at.ended.empty()) return replay_refusal{"the replay is over: " + at.ended, at.ended};
  auto given =
      mode_ == replay_mode::strict ? answer_strictly(at, asked) : answer_leniently(at, asked);
  if (given) return std::move(*given);
  const auto& why = given.error().message();
  if (mode_ == replay_mode::strict) at.ended = why;
  return replay_refusal{"the replay of " + recordings_[at.recording].name + " " +
                            (mode_ == replay_mode::strict ? "ends: " : "has no answer: ") + why,
                        why};
}

result<std::size_t> replay::choose(const replay_question& asked) const {
  if (!is_folder_) return std::size_t{0};
  const bool is_strict = mode_ == replay_mode::strict;
  if (const auto found = is_strict ? begins_so(asked) : begins_alike(asked)) return *found;
  return none("no transcript in " + place_ +
              (is_strict ? " begins with this request" : " begins with a request like this") +
              ", of those that no attempt had yet" + (is_strict ? nearest(asked) : ""));
}

std::optional<std::size_t> replay::begins_so(const replay_question& asked) const {
  const auto digest = sha256_hex(asked.request);
  std::optional<std::string> words;  // made where it is looked at
  for (std::size_t i = 0; i < recordings_.size(); ++i) {
    const auto& one = recordings_[i];
    const auto& first = one.asked.front();
    if (one.taken || first.like.first != asked.path) continue;
    if (first.bytes == asked.request.size() && first.sha256 == digest) return i;
    if (first.own_words.empty()) continue;
    if (!words) words = sha256_hex(own_words(asked.request));
    if (first.own_words != *words) continue;
    const auto whole = one.file.read(first.at);
    one.file.forget_unpacked();
    if (whole && !difference(asked, *whole)) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> replay::begins_alike(const replay_question& asked) const {
  const likes like(asked.path, count_messages(asked.request));
  std::optional<std::size_t> best;
  std::size_t best_bytes = 0;
  std::size_t compared = 0;
  for (std::size_t i = 0; i < recordings_.size() && compared < max_compared; ++i) {
    const auto& one = recordings_[i];
    if (one.taken || one.asked.front().like != like) continue;
    ++compared;
    const auto first = one.file.read(one.asked.front().at);
    one.file.forget_unpacked();
    if (!first) continue;
    const auto bytes = likeness(asked.request, first->request);
    if (best && bytes <= best_bytes) continue;
    best = i;
    best_bytes = bytes;
  }
  return best;
}

/// Of one recording, which is the likeliest to be meant, in what it differs.
std::string replay::nearest(const replay_question& asked) const {
  const likes like(asked.path, count_messages(asked.request));
  const recording* likeliest = nullptr;
  for (const auto& one : recordings_) {
    if (one.taken) continue;
    if (!likeliest) likeliest = &one;
    if (one.asked.front().like != like) continue;
    likeliest = &one;
    break;
  }
  if (!likeliest) return "";
  const auto first = likeliest->file.read(likeliest->asked.front().at);
  likeliest->file.forget_unpacked();
  const auto differs = first ? difference(asked, *first) : std::nullopt;
  return differs ? "; in " + likeliest->name + " " + *differs : "";
}

result<recorded_exchange> replay::answer_strictly(place& at, const replay_question& asked) const {
  const auto& from = recordings_[at.recording];
  const auto number = std::to_string(at.next + 1);
  if (at.next >= from.asked.size()) {
    return none("request " + number + " is one more than were recorded" + missing_in(from.file));
  }
  auto recorded = from.file.read(from.asked[at.next].at);
  from.file.forget_unpacked();
  if (!recorded) return recorded.error();
  if (const auto differs = difference(asked, *recorded)) {
    return none("request " + number + " differs: " + *differs + missing_in(from.file));
  }
  ++at.next;
  return recorded;
}

result<recorded_exchange> replay::answer_leniently(place& at, const replay_question& asked) const {
  const auto& from = recordings_[at.recording];
  const likes like(asked.path, count_messages(asked.request));
  const auto digest = sha256_hex(asked.request);
  std::optional<std::size_t> best;
  std::size_t best_bytes = 0;
  std::vector<std::size_t> open;
  if (const auto found = from.by_likes.find(like); found != from.by_likes.end()) {
    for (const auto i : found->second) {
      if (at.given[i]) continue;
      if (!best && from.asked[i].sha256 == digest) best = i;
      if (open.size() < max_compared) open.push_back(i);
    }
  }
  if (!best) {
    for (const auto i : open) {
      const auto recorded = from.file.read(from.asked[i].at);
      if (!recorded) continue;
      const auto bytes = likeness(asked.request, recorded->request);
      if (best && bytes <= best_bytes) continue;
      best = i;
      best_bytes = bytes;
    }
  }
  auto answer =
      best ? from.file.read(from.asked[*best].at)
           : result<recorded_exchange>(none(
                 "of the recorded requests that were not answered yet none has the path " +
                 like.first + " and " + counted_messages(like.second) + missing_in(from.file)));
  from.file.forget_unpacked();
  if (answer) at.given[*best] = true;
  return answer;
}

void replay::forget(std::string_view attempt_id) {
  const auto found = places_.find(attempt_id);
  if (found != places_.end()) places_.erase(found);
}

}  // namespace germline::worker
