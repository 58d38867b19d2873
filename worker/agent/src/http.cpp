#include "http.hpp"

#include <curl/curl.h>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace agent {
namespace {

constexpr std::size_t max_body_bytes = 32 << 20;

std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* into) {
  auto& reply = *static_cast<http_reply*>(into);
  if (reply.body.size() + size * count > max_body_bytes) return 0;
  reply.body.append(bytes, size * count);
  return size * count;
}

std::size_t take_header(char* bytes, std::size_t size, std::size_t count, void* into) {
  const std::string line(bytes, size * count);
  constexpr std::string_view name = "retry-after:";
  std::string start = line.substr(0, name.size());
  for (auto& c : start) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (start == name) {
    const char* value = line.c_str() + name.size();
    char* end = nullptr;
    const double seconds = std::strtod(value, &end);
    if (end != value) static_cast<http_reply*>(into)->retry_after_s = seconds;
  }
  return size * count;
}

}  // namespace

http_reply http_post(const std::string& url, const std::vector<std::string>& headers,
                     const std::string& body, std::chrono::milliseconds limit) {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  http_reply reply;
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(ready ? curl_easy_init() : nullptr,
                                                      curl_easy_cleanup);
  if (!handle) {
    reply.problem = "libcurl could not be started";
    return reply;
  }
  curl_slist* list = curl_slist_append(nullptr, "Expect:");  // no wait for "100 Continue"
  for (const auto& header : headers) list = curl_slist_append(list, header.c_str());
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 180L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &reply);
  const auto code = curl_easy_perform(curl);
  curl_slist_free_all(list);
  if (code != CURLE_OK) {
    reply.problem = curl_easy_strerror(code);
    return reply;
  }
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  const char* type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) reply.content_type = type;
  return reply;
}

}  // namespace agent
