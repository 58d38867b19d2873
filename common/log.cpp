#include "common/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "common/text/utf8.hpp"

namespace germline {
std::string printable(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const auto length = utf8_length(text, at);
    // C1 controls (U+0080 to U+009F) steer terminals as well.
    const bool c1 = length == 2 && byte == 0xc2 && static_cast<unsigned char>(text[at + 1]) < 0xa0;
    const bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
    if (length == 0 || control || c1) {
      safe += fmt::format("\\x{:02x}", byte);
      ++at;
      continue;
    }
    safe.append(text.substr(at, length));
    at += length;
  }
  return safe;
}

void init_logging(std::string_view process, log_level lowest) {
  auto logger = std::make_shared<spdlog::logger>(std::string(process),
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %n %l: %v", spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  switch (lowest) {
    case log_level::debug:
      spdlog::set_level(spdlog::level::debug);
      break;
    case log_level::info:
      spdlog::set_level(spdlog::level::info);
      break;
    case log_level::warning:
      spdlog::set_level(spdlog::level::warn);
      break;
    case log_level::error:
      spdlog::set_level(spdlog::level::err);
      break;
  }
}

void log_line(log_level level, std::string_view text) {
  const auto safe = printable(text);
  switch (level) {
    case log_level::debug:
      spdlog::debug("{}", safe);
      break;
    case log_level::info:
      spdlog::info("{}", safe);
      break;
    case log_level::warning:
      spdlog::warn("{}", safe);
      break;
    case log_level::error:
      spdlog::error("{}", safe);
      break;
  }
}

}  // namespace germline
