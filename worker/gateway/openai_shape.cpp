#include "worker/gateway/openai_shape.hpp"

#include <nlohmann/json.hpp>

namespace germline::worker::openai {
namespace {

using nlohmann::json;

struct kind {
  const char* type;
  const char* code;  // null: none
};

kind kind_of(unsigned status) {
  switch (status) {
    case 401:
      return {"invalid_request_error", "invalid_api_key"};
    case 404:
      return {"invalid_request_error", "not_found"};
    case 413:
      return {"invalid_request_error", "request_too_large"};
    case 429:
      return {"rate_limit_error", "rate_limit_exceeded"};
    default:
      if (status >= 500) return {"server_error", "server_error"};
      return {"invalid_request_error", nullptr};
  }
}

}  // namespace

std::string written(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json error_object(unsigned status, std::string_view message) {
  const auto [type, code] = kind_of(status);
  json body = {{"message", message}, {"type", type}, {"param", nullptr}, {"code", nullptr}};
  if (code != nullptr) body["code"] = code;
  return body;
}

std::string error(unsigned status, std::string_view message) {
  return written({{"error", error_object(status, message)}});
}

std::string models(std::string_view model, bool only) {
  const json one = {{"id", model}, {"object", "model"}, {"created", 0}, {"owned_by", "germline"}};
  if (only) return written(one);
  return written({{"object", "list"}, {"data", json::array({one})}});
}

}  // namespace germline::worker::openai
