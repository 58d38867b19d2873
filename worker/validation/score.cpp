#include "worker/validation/score.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace germline::worker {
namespace {

using nlohmann::json;

constexpr std::size_t name_bytes_max = 128;

error wrong(const std::string& what) {
  return {error_code::invalid_argument, "the evaluator's report " + what};
}

/// What means and spreads can be computed of.
bool is_number(const json& value) {
  constexpr double most = 1e100;
  return value.is_number() && std::abs(value.get<double>()) <= most;
}

result<named_numbers> numbers_of(const json& report, const std::string& member,
                                 std::size_t count_max) {
  named_numbers out;
  const auto found = report.find(member);
  if (found == report.end()) return out;
  if (!found->is_object()) return wrong("has '" + member + "' that is no object of numbers");
  if (found->size() > count_max) {
    return wrong("has more than " + std::to_string(count_max) + " '" + member + "'");
  }
  for (const auto& [name, value] : found->items()) {
    if (name.empty() || name.size() > name_bytes_max) {
      return wrong("has a name in '" + member + "' that is not of 1 to " +
                   std::to_string(name_bytes_max) + " bytes");
    }
    if (!is_number(value)) {
      return wrong("has '" + name + "' in '" + member + "' that is no number of at most 1e100");
    }
    out.emplace_back(name, value.get<double>());
  }
  return out;
}

/// A key that is there twice would hide what the first one said.
class strict_reader final : public json::json_sax_t {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return keys_.size() <= depth_max;
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override { return false; }
  bool end_array() override { return true; }
  bool key(string_t& name) override { return keys_.back().insert(name).second; }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return false;
  }

 private:
  static constexpr std::size_t depth_max = 2;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

result<evaluation_score> parse_score(std::string_view report) {
  const std::string form =
      R"(; it must be one JSON object: {"score": 1.5, "metrics": {"name": 2}})";
  if (report.empty()) return wrong("is empty" + form);
  if (report.size() > score_bytes_max) return wrong("has more than 1 MiB");
  strict_reader strict;
  if (!json::sax_parse(report, &strict)) {
    return wrong("is no JSON, has an array, nests too deep, or has a name twice" + form);
  }
  const auto parsed = json::parse(report, nullptr, false);
  if (!parsed.is_object()) return wrong("is no object" + form);
  for (const auto& [name, value] : parsed.items()) {
    const bool known =
        name == "score" || name == "metrics" || name == "descriptors" || name == "cases";
    if (!known) {
      return wrong("has '" + name.substr(0, name_bytes_max) +
                   "', and only score, metrics, descriptors and cases are known");
    }
  }
  const auto score = parsed.find("score");
  if (score == parsed.end()) return wrong("has no 'score'" + form);
  if (!is_number(*score)) return wrong("has a 'score' that is no number of at most 1e100");
  evaluation_score out;
  out.score = score->get<double>();
  GERMLINE_TRY_ASSIGN(out.metrics, numbers_of(parsed, "metrics", 100));
  GERMLINE_TRY_ASSIGN(out.descriptors, numbers_of(parsed, "descriptors", 32));
  GERMLINE_TRY_ASSIGN(out.cases, numbers_of(parsed, "cases", 1'000));
  return out;
}

}  // namespace germline::worker
