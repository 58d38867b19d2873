// downloader: gets one URL after the other from a mirror with libcurl, and hands on what comes as
// it comes; connections are kept for the next one. TLS is verified, no redirect is followed, no
// proxy is used, nothing is decoded. Blocking; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <curl/curl.h>

#include "common/result.hpp"
#include "worker/mirror/config.hpp"

namespace germline::worker {

struct download_head {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
};

/// Takes what comes. False gives the download up.
class download_sink {
 public:
  virtual ~download_sink() = default;
  virtual bool on_head(const download_head& head) = 0;
  virtual bool on_data(std::string_view bytes) = 0;
};

enum class download_end {
  complete,
  given_up,   // by the sink, or cancelled
  failed,     // no connection, or it broke, or what came is no HTTP
  timed_out,  // silence
};

struct download_result {
  download_end how = download_end::complete;
  std::string why;          // of libcurl, where it is not complete
  std::string redirect_to;  // the absolute URL that a redirect names; empty: none
};

class downloader {
 public:
  /// `cancelled` is asked several times a second; true ends what runs.
  downloader(const mirror_limits& limits, std::function<bool()> cancelled);
  ~downloader();
  downloader(const downloader&) = delete;
  downloader& operator=(const downloader&) = delete;

  /// `headers` are "name: value". The sink is called from here.
  download_result get(const std::string& url, const std::string& ca_file, bool head_only,
                      const std::vector<std::string>& headers, download_sink& sink);

 private:
  struct running;
  static std::size_t on_header(char* bytes, std::size_t one, std::size_t size, void* self);
  static std::size_t on_write(char* bytes, std::size_t one, std::size_t size, void* self);
  void set_up(running& now, const std::string& url, const std::string& ca_file, bool head_only);

  const mirror_limits limits_;
  const std::function<bool()> cancelled_;
  CURLM* multi_ = nullptr;
  CURL* easy_ = nullptr;
};

}  // namespace germline::worker
