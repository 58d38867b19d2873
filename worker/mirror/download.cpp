#include "worker/mirror/download.hpp"

#include <algorithm>
#include <charconv>

#include "common/assert.hpp"

namespace germline::worker {
namespace {

constexpr std::size_t max_header_bytes = 64 * 1024;
constexpr int look_every_ms = 50;  // whether it was cancelled

struct header_list {
  curl_slist* first = nullptr;
  void add(const std::string& line) { first = ::curl_slist_append(first, line.c_str()); }
  ~header_list() { ::curl_slist_free_all(first); }
};

}  // namespace

struct downloader::running {
  download_sink& sink;
  download_head head;
  std::size_t header_bytes = 0;
  bool given_up = false;
  bool has_head = false;  // the answer's: what comes after it are trailers

  void take_header(std::string_view line) {
    if (has_head) return;
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {
      head = {};
      const auto space = std::min(line.find(' '), line.size() - 1);
      const auto code = line.substr(space + 1, 3);
      std::from_chars(code.data(), code.data() + code.size(), head.status);
      return;
    }
    if (line.empty()) {
      has_head = head.status >= 200;  // 1xx is not the answer's
      if (has_head) given_up = !sink.on_head(head);
      return;
    }
    const auto colon = line.find(':');
    if (colon == line.npos) return;
    auto value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    std::string name(line.substr(0, colon));
    for (auto& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    head.headers.emplace_back(std::move(name), std::string(value));
  }
};

downloader::downloader(const mirror_limits& limits, std::function<bool()> cancelled)
    : limits_(limits),
      cancelled_(std::move(cancelled)),
      multi_(::curl_multi_init()),
      easy_(::curl_easy_init()) {
  GERMLINE_ASSERT(multi_ != nullptr && easy_ != nullptr);
}

downloader::~downloader() {
  ::curl_easy_cleanup(easy_);
  ::curl_multi_cleanup(multi_);
}

std::size_t downloader::on_header(char* bytes, std::size_t, std::size_t size, void* self) {
  auto& now = *static_cast<running*>(self);
  now.header_bytes += size;
  if (now.header_bytes > max_header_bytes) return 0;  // ends the download
  now.take_header({bytes, size});
  return now.given_up ? 0 : size;
}

std::size_t downloader::on_write(char* bytes, std::size_t, std::size_t size, void* self) {
  auto& now = *static_cast<running*>(self);
  now.given_up = now.given_up || !now.sink.on_data({bytes, size});
  return now.given_up ? CURL_WRITEFUNC_ERROR : size;
}

void downloader::set_up(running& now, const std::string& url, const std::string& ca_file,
                        bool head_only) {
  ::curl_easy_reset(easy_);  // connections stay
  ::curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  ::curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);  // a look-up that hangs must not hold a kill
  ::curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");  // the URL was judged
  ::curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_PROXY, "");  // none, whatever the environment says
  ::curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!ca_file.empty()) {
    ::curl_easy_setopt(easy_, CURLOPT_CAINFO, ca_file.c_str());
    ::curl_easy_setopt(easy_, CURLOPT_CAPATH, nullptr);
  }
  ::curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
  ::curl_easy_setopt(easy_, CURLOPT_USERAGENT, "germline-mirror");
  if (head_only) {
    ::curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else {
    ::curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
  }
  ::curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits_.connect_ms));
  ::curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(easy_, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(std::max<std::int64_t>(1, limits_.silence_ms / 1000)));
  ::curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &downloader::on_header);
  ::curl_easy_setopt(easy_, CURLOPT_HEADERDATA, &now);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &downloader::on_write);
  ::curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &now);
}

download_result downloader::get(const std::string& url, const std::string& ca_file, bool head_only,
                                const std::vector<std::string>& headers, download_sink& sink) {
  running now{sink, {}};
  set_up(now, url, ca_file, head_only);
  header_list list;
  for (const auto& line : headers) list.add(line);
  ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, list.first);
  download_result ended;
  if (::curl_multi_add_handle(multi_, easy_) != CURLM_OK) {
    return {download_end::failed, "libcurl does not take the request", ""};
  }
  CURLcode code = CURLE_OK;
  bool done = false;
  while (!done && !now.given_up) {
    int active = 0;
    ::curl_multi_perform(multi_, &active);
    int left = 0;
    while (const CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      done = true;
      code = message->data.result;
    }
    if (done) break;
    if (cancelled_()) now.given_up = true;
    if (!now.given_up) ::curl_multi_poll(multi_, nullptr, 0, look_every_ms, nullptr);
  }
  const char* redirect = nullptr;
  ::curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &redirect);
  if (redirect != nullptr) ended.redirect_to = redirect;
  ::curl_multi_remove_handle(multi_, easy_);
  if (now.given_up) {
    ended.how = download_end::given_up;
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    ended.how = download_end::timed_out;
  } else if (code != CURLE_OK) {
    ended.how = download_end::failed;
  }
  if (code != CURLE_OK) ended.why = ::curl_easy_strerror(code);
  return ended;
}

}  // namespace germline::worker
