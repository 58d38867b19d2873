// strict_body: what the dialects share when they judge a request's body: parsing that lets no two
// readers see two requests, refusals that name what is wrong, and edits of single fields that leave
// every other byte as it came. Refusals travel as exceptions within one judge() and end in it
// (judged_by).
// Pure; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "worker/gateway/dialect.hpp"
#include "worker/gateway/strict_value.hpp"

namespace germline::worker::strict {

using names = std::span<const std::string_view>;

struct refused {
  std::string message;
};
[[noreturn]] void refuse(std::string message);

/// A place in the body, to be told in a refusal: its text is made only then.
class place {
 public:
  /// What it is given must outlive it, in each.
  explicit place(std::string_view name) : name_(name) {}
  place(const place& in, std::string_view name) : in_(&in), name_(name) {}
  place(const place& in, std::size_t index) : in_(&in), index_(index) {}
  /// `messages[2].content[0].source`
  std::string text() const;

 private:
  const place* in_ = nullptr;
  std::string_view name_;  // with what separates it
  std::size_t index_ = 0;  // where it has no name
};

bool has(names list, std::string_view name);
/// In quotes and of bounded length.
std::string shown(std::string_view name);
/// Refuses unless `object` has a string there.
std::string_view text_member(const value& object, std::string_view key, const place& where);
const std::string& text_member(const nlohmann::json& object, const char* key,
                               const std::string& where);
/// Refuses a member that is `key` but for the letters' case, which not every reader tells apart.
/// For objects whose other members are not looked at.
void one_spelling(const value& object, std::string_view key, const place& where);
/// The member, or null where it is null or not there: both mean "left out".
const value* given(const value& object, std::string_view key);
const nlohmann::json* given(const nlohmann::json& object, const char* key);
/// Refuses every member of `object` that is not in `allowed`.
void only_members(const value& object, names allowed, const place& where);
/// The same of a whole request, of whose fields those that the limits name pass as well.
void only_fields(const value& request, names allowed, const request_limits& limits);
/// What a document says of the text, for those who go on with it.
nlohmann::json parse(std::string_view body);
bool read_stream(const value& request);
bool read_stream(const nlohmann::json& request);
/// The output cap `key`; none where it is left out.
std::optional<std::int64_t> read_cap(const value& request, std::string_view key,
                                     std::int64_t largest);
std::optional<std::int64_t> read_cap(const nlohmann::json& request, const char* key,
                                     std::int64_t largest);
/// Refuses an image that is not within the request: a data: URL is. Null: there is none.
void check_inline_image(const value* url, const place& where);

/// `body` with the top-level member `key` put in, or its value replaced. All other bytes stay.
/// REQUIRES a body that parse() takes, and that has a member.
std::string with_member(std::string_view body, std::string_view key, const nlohmann::json& value);

/// Runs `check`; a refusal or a type that is not expected becomes a request_refusal.
template <class Check>
judgement judged_by(const char* what, Check check) {
  try {
    return check();
  } catch (const refused& why) {
    return request_refusal{why.message};
  } catch (const nlohmann::json::exception&) {
    return request_refusal{std::string("the body cannot be read as ") + what};
  }
}

}  // namespace germline::worker::strict
