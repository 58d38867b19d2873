#include "tests/fuzz/strict_http.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>

namespace germline::tests {
namespace {

constexpr std::string_view line_end = "\r\n";

struct wrong_bytes {};
struct too_few_bytes {};

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c < 0x80 &&
           (std::isalnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                   std::string_view::npos);
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Reads bytes from the front; throws where they are wrong or too few.
class reader {
 public:
  explicit reader(std::string_view bytes) : left_(bytes) {}

  std::string_view left() const { return left_; }

  std::string_view line() {
    const auto end = left_.find(line_end);
    const auto text = left_.substr(0, end);
    if (text.find('\n') != text.npos) throw wrong_bytes{};
    if (end == left_.npos) throw too_few_bytes{};
    if (text.find('\r') != text.npos) throw wrong_bytes{};
    left_.remove_prefix(end + line_end.size());
    return text;
  }

  http_fields fields() {
    http_fields all;
    for (auto text = line(); !text.empty(); text = line()) {
      if (!std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); })) {
        throw wrong_bytes{};
      }
      if (text.front() == ' ' || text.front() == '\t') {  // goes on from the line before
        if (all.empty()) throw wrong_bytes{};
        auto& value = all.back().second;
        value = std::string(trimmed(value + " " + std::string(trimmed(text))));
        continue;
      }
      const auto colon = text.find(':');
      if (colon == text.npos || !is_token(text.substr(0, colon))) throw wrong_bytes{};
      all.emplace_back(lower(text.substr(0, colon)), trimmed(text.substr(colon + 1)));
    }
    return all;
  }

  std::string bytes(std::uint64_t count) {
    if (left_.size() < count) throw too_few_bytes{};
    const auto taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return std::string(taken);
  }

  std::string chunks() {
    std::string all;
    for (;;) {
      const auto size = chunk_size(line());
      if (size == 0) break;
      all += bytes(size);
      if (!left_.starts_with(line_end.substr(0, left_.size()))) throw wrong_bytes{};
      bytes(line_end.size());
    }
    for (const auto& [name, value] : fields()) {
      if (name == "content-length" || name == "transfer-encoding") throw wrong_bytes{};
    }
    return all;
  }

  /// What the fields say of the body's length, and the body.
  std::string body(const http_fields& with) {
    std::vector<std::string> lengths;
    std::vector<std::string> codings;
    for (const auto& [name, value] : with) {
      if (name == "content-length") lengths.push_back(value);
      if (name == "transfer-encoding") codings.push_back(lower(value));
    }
    if (lengths.size() + codings.size() > 1) throw wrong_bytes{};
    if (!codings.empty()) {
      if (codings.front() != "chunked") throw wrong_bytes{};
      return chunks();
    }
    if (lengths.empty()) return {};
    const auto& text = lengths.front();
    const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    if (!is_number || text.size() > 18) throw wrong_bytes{};
    return bytes(std::strtoull(text.c_str(), nullptr, 10));
  }

 private:
  static std::uint64_t chunk_size(std::string_view text) {
    const auto end = std::min(text.size(), text.find_first_not_of("0123456789abcdefABCDEF"));
    if (end == 0 || end > 15) throw wrong_bytes{};
    check_extensions(text.substr(end));
    return std::strtoull(std::string(text.substr(0, end)).c_str(), nullptr, 16);
  }

  static void check_extensions(std::string_view text) {
    const auto skip = [&text] { text = trimmed(text); };
    const auto token = [&text] {
      const auto end = std::min(text.size(), text.find_first_of(" \t;=\""));
      if (!is_token(text.substr(0, end))) throw wrong_bytes{};
      text.remove_prefix(end);
    };
    while (!text.empty()) {
      skip();
      if (!text.starts_with(';')) throw wrong_bytes{};
      text.remove_prefix(1);
      skip();
      token();
      if (!trimmed(text).starts_with('=')) continue;
      skip();
      text.remove_prefix(1);
      skip();
      if (!text.starts_with('"')) {
        token();
        continue;
      }
      std::size_t at = 1;
      while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
      if (at >= text.size()) throw wrong_bytes{};
      text.remove_prefix(at + 1);
    }
  }

  std::string_view left_;
};

strict_request read_request(reader& from) {
  strict_request one;
  const auto line = from.line();
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == line.npos || first == last || line.substr(last + 1) != "HTTP/1.1") {
    throw wrong_bytes{};
  }
  one.method = line.substr(0, first);
  one.target = line.substr(first + 1, last - first - 1);
  const bool is_target =
      !one.target.empty() && std::all_of(one.target.begin(), one.target.end(),
                                         [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!is_token(one.method) || !is_target) throw wrong_bytes{};
  one.fields = from.fields();
  one.body = from.body(one.fields);
  return one;
}

strict_answer read_answer(reader& from, bool of_head) {
  strict_answer one;
  const auto line = from.line();
  if (!line.starts_with("HTTP/1.1 ") || line.size() < 13 || line[12] != ' ') throw wrong_bytes{};
  one.status = std::atoi(std::string(line.substr(9, 3)).c_str());
  const auto fields = from.fields();
  one.last = lower(field_of(fields, "connection")) == "close";
  // Where a request could not be read, nobody knows that it was HEAD.
  const bool is_bare =
      of_head && (one.status == 200 || from.left().empty() || from.left().starts_with("HTTP/"));
  if (one.status >= 200 && one.status != 204 && one.status != 304 && !is_bare) {
    const bool has_length = !field_of(fields, "content-length").empty() ||
                            !field_of(fields, "transfer-encoding").empty();
    if (!has_length) throw wrong_bytes{};
    one.body = from.body(fields);
  }
  return one;
}

}  // namespace

std::string field_of(const http_fields& fields, std::string_view name) {
  for (const auto& [known, value] : fields) {
    if (known == name) return value;
  }
  return {};
}

strict_requests read_requests(std::string_view bytes) {
  strict_requests all;
  reader from(bytes);
  try {
    while (!from.left().empty()) all.whole.push_back(read_request(from));
  } catch (const wrong_bytes&) {
    all.rest = true;
  } catch (const too_few_bytes&) {
    all.rest = true;
  }
  return all;
}

strict_answers read_answers(std::string_view bytes, const std::vector<bool>& heads) {
  strict_answers all;
  reader from(bytes);
  try {
    while (!from.left().empty()) {
      const bool of_head = all.whole.size() < heads.size() && heads[all.whole.size()];
      auto one = read_answer(from, of_head);
      if (one.status >= 200) all.whole.push_back(std::move(one));
    }
  } catch (const wrong_bytes&) {
    all.wrong = from.left().substr(0, 400);
  } catch (const too_few_bytes&) {
    all.rest = true;
  }
  return all;
}

}  // namespace germline::tests
