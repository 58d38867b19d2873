#include "events.hpp"

#include <cstdio>

#include "bounded_output.hpp"
#include "http.hpp"
#include "json.hpp"

namespace agent {

events::events(std::string base_url, std::string key)
    : base_url_(std::move(base_url)), key_(std::move(key)) {}

void events::report(const std::string& step, const std::string& status,
                    const std::string& detail) const {
  const auto short_why = status == "failed" ? ": " + detail.substr(0, detail.find('\n')) : "";
  std::fprintf(stderr, "agent: %s %s%s\n", step.c_str(), status.c_str(), short_why.c_str());
  if (base_url_.empty()) return;
  auto event = json::of({{"step", step}, {"status", status}});
  // 1,000 bytes stay far below the bound of 8 KiB whatever escaping makes of them.
  if (!detail.empty()) event["detail"] = bounded(detail, 700, 300);
  http_post(base_url_ + "/germline/v1/events",
            {"content-type: application/json", "x-api-key: " + key_}, event.text(),
            std::chrono::milliseconds(10'000));
}

}  // namespace agent
