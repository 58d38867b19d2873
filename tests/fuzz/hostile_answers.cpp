#include "tests/fuzz/hostile_answers.hpp"

#include "tests/fuzz/fuzzing.hpp"

namespace germline::tests {
namespace {

const std::vector<std::string>& heads() {
  static const std::vector<std::string> all = {
      "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 6\r\ncontent-length: 3\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 3, 6\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: +6\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 06\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.0 200 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\n\r\n",
      "HTTP/1.1 200 OK\r\netag: a\x01\x7f\r\ncache-control: a\r\n b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nHTTP/1.1 7 x\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 204 No Content\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 304 Not Modified\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 503 Away\r\nretry-after: 1\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 999 Odd\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 099 Odd\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 20 OK\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1  OK\r\ncontent-length: 6\r\n\r\n",
      "HTTP/2 200\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 103 Hints\r\ncontent-length: 3\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      "HTTP/1.1 302 Found\r\nlocation: /moved\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 301 Moved\r\nlocation: /moved\r\n\r\n",
      "HTTP/1.1 307 Found\r\ncontent-length: 6\r\n\r\n",
      "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/moved\r\n\r\n",
      "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n\r\n",
      "HTTP/1.1 302 Found\r\nlocation: //@127.0.0.1:1/\r\n\r\n",
      "HTTP/1.1 200 OK\nbare: line\ncontent-length: 6\n\n",
      "no HTTP\r\n\r\n",
      ""};
  return all;
}

/// With bodies in chunks.
const std::vector<std::string>& wholes() {
  static const std::vector<std::string> all = {
      "6\r\ncanned\r\n0\r\n\r\n",
      "6\r\ncanned\r\n0\r\netag: late\r\n\r\n",
      "6\r\ncanned\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n",
      "3;a=b\r\ncan\r\n3\r\nned\r\n0\r\n\r\n",
      "6\r\ncanned\r\n",
      "60\r\ncanned\r\n",
      "-6\r\ncanned\r\n0\r\n\r\n",
      "fffffffffffffffff\r\ncanned\r\n0\r\n\r\n",
      "6\r\ncannedX0\r\n\r\n",
      "0\r\n\r\n",
      "6\r\ncanned\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncanned"};
  return all;
}

}  // namespace

std::vector<canned_answer> hostile_answers(std::size_t count, random_source& random) {
  static const std::vector<std::string> chunked = {
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
      "HTTP/1.1 200 OK\r\ncontent-length: 30\r\ntransfer-encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n"};
  std::vector<canned_answer> all;
  while (all.size() < count) {
    if (one_in(3, random)) {
      all.push_back(json_answer("canned"));
      continue;
    }
    const bool in_chunks = one_in(3, random);
    auto head = in_chunks ? pick(chunked, random) : pick(heads(), random);
    std::string body = in_chunks ? pick(wholes(), random) : "canned";
    const bool redirects = head.find("location") != head.npos;  // the path would be any
    if (!redirects && one_in(3, random)) head = mutate_bytes(head, 2, random);
    if (one_in(6, random)) body = mutate_bytes(body, 2, random);
    if (one_in(100, random))
      head = "HTTP/1.1 200 OK\r\na: " + std::string(100'000, 'a') + "\r\n\r\n";
    all.push_back({head, chopped(body, body.size() + 1, random)});
  }
  return all;
}

}  // namespace germline::tests
