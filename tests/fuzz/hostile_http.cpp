#include "tests/fuzz/hostile_http.hpp"

#include "tests/fuzz/fuzzing.hpp"

namespace germline::tests {
namespace {

std::string body_for(const std::string& target, const std::string& mark) {
  if (target == "/v1/responses") {
    return R"({"model":"scripted-1","store":false,"max_output_tokens":100,"input":")" + mark +
           "\"}";
  }
  if (target == "/v1/chat/completions") {
    return R"({"model":"scripted-1","max_tokens":100,"messages":[{"role":"user","content":")" +
           mark + R"("}],"stream":false})";
  }
  if (target == "/germline/v1/events") return R"({"event":")" + mark + "\"}";
  return marked_body(mark);
}

std::string length_of(std::string_view body, int more = 0) {
  return "Content-Length: " + std::to_string(static_cast<int>(body.size()) + more) + "\r\n";
}

std::string hex(std::size_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "%zx", number);
  return text;
}

/// In chunks, with whatever may or may not stand in one.
std::string in_chunks(const std::string& body, bool oddly, random_source& random) {
  static const std::vector<std::string> extensions = {"",   "",     "",
                                                      ";a", ";a=b", " ; a = \"b;\\\"c\""};
  static const std::vector<std::string> odd = {
      "", "", "", "", "", "", ";", ";a=", " ", ";a=\"", "x", "\t;a", ";a;b=c", ";\r", "g"};
  static const std::vector<std::string> ends = {"\r\n", "\r\n", "\r\n", "\r\n",     "\r\n",
                                                "\n",   "\r",   "",     "\r\n\r\n", " \r\n"};
  static const std::vector<std::string> trailers = {"",
                                                    "",
                                                    "A: b\r\n",
                                                    "X-Api-Key: x\r\n",
                                                    "Content-Length: 5\r\n",
                                                    "Transfer-Encoding: chunked\r\n",
                                                    "Connection: close\r\n",
                                                    "no trailer\r\n"};
  static const std::vector<std::string> sizes = {
      "-1", "+5", "0x5", "ffffffffffffffff", "10000000000000005", "", " 5", "00000000005"};
  const auto end = [&] { return oddly ? pick(ends, random) : ends[0]; };
  std::string all;
  for (const auto& piece : chopped(body, body.size() + 1, random)) {
    const auto size = oddly && one_in(12, random) ? pick(sizes, random) : hex(piece.size());
    all += (one_in(4, random) ? "000" : "") + size + pick(oddly ? odd : extensions, random) + end();
    all += piece + end();
  }
  if (oddly && one_in(6, random)) return all;
  return all + "0" + pick(extensions, random) + end() + pick(trailers, random) + end();
}

/// The fields that say how long a body is, an empty line, and the body.
std::string framed(const std::string& body, const std::string& smuggled, random_source& random) {
  static const std::vector<std::string> codings = {"Transfer-Encoding: gzip\r\n",
                                                   "Transfer-Encoding: chunked, gzip\r\n",
                                                   "Transfer-Encoding: gzip, chunked\r\n",
                                                   "Transfer-Encoding: xchunked\r\n",
                                                   "Transfer-Encoding: identity\r\n",
                                                   "Transfer-Encoding: \r\n",
                                                   "Transfer-Encoding: \tchunked\r\n",
                                                   "Transfer-Encoding : chunked\r\n",
                                                   "Transfer-Encoding:\r\n chunked\r\n",
                                                   "Transfer-Encoding: chunked;q=1\r\n",
                                                   "Transfer-Encoding: chunked, chunked\r\n",
                                                   "Transfer-Encoding: \"chunked\"\r\n",
                                                   "Transfer-Encoding: CHUNKED\r\n",
                                                   "X: y\nTransfer-Encoding: chunked\r\n",
                                                   "Transfer-Encoding\r\n",
                                                   "Transfer-Encoding: chunked\n"};
  static const std::vector<std::string> lengths = {"+",       "-",  "0x", "0,",
                                                   " 0\r\n ", "\"", "1e", "00"};
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  const auto size = std::to_string(body.size());
  switch (random.below(16)) {
    case 0:
      return chunked + "\r\n" + in_chunks(body, false, random);
    case 1:
      return chunked + "\r\n" + in_chunks(body, true, random);
    case 2: {  // too long, or too short
      const auto more = static_cast<int>(random.below(200)) - 100;
      return length_of(body, std::max(more, -static_cast<int>(body.size()))) + "\r\n" + body;
    }
    case 3:
      return length_of(body) + chunked + "\r\n" + in_chunks(body, false, random) + smuggled;
    case 4:
      return chunked + length_of(smuggled) + "\r\n0\r\n\r\n" + smuggled;
    case 5:
      return pick(codings, random) + "\r\n" + in_chunks(body, false, random) + smuggled;
    case 6:
      return pick(codings, random) + "\r\n" + smuggled;
    case 7:
      return pick(codings, random) + length_of(smuggled) + "\r\n" + smuggled;
    case 8:
      return length_of(body) + pick(codings, random) + "\r\n" + body + smuggled;
    case 9:
      return length_of(body) + length_of(one_in(2, random) ? body : smuggled) + "\r\n" + body;
    case 10:
      return "Content-Length: " + pick(lengths, random) + size + "\r\n\r\n" + body;
    case 11:
      return "Content-Length: " + size + ", " + size + "\r\n\r\n" + body;
    case 12:
      return "\r\n" + body + smuggled;
    default:
      return length_of(body) + "\r\n" + body;
  }
}

std::string more_fields(random_source& random) {
  static const std::vector<std::string> fields = {"Connection: close\r\n",
                                                  "Connection: keep-alive\r\n",
                                                  "Expect: 100-continue\r\n",
                                                  "Upgrade: h2c\r\nConnection: upgrade\r\n",
                                                  "anthropic-version: 2023-06-01\r\n",
                                                  "anthropic-beta: x, y\r\n",
                                                  "A: b\r\n\tc\r\n",
                                                  " : x\r\n",
                                                  "A\r\n",
                                                  ": b\r\n",
                                                  "A: b\n",
                                                  "A : b\r\n",
                                                  "A: \x7f\r\n",
                                                  "A: \xc3\xa4\r\n",
                                                  "x-api-key: other\r\n"};
  std::string all;
  while (one_in(3, random)) all += pick(fields, random);
  if (one_in(60, random)) all += "A: " + std::string(40'000, 'a') + "\r\n";
  if (one_in(60, random)) {
    for (int i = 0; i < 2'000; ++i) all += "A" + std::to_string(i) + ": b\r\n";
  }
  return all;
}

std::string request_line(random_source& random, std::string& target) {
  static const std::vector<std::string> targets = {"/v1/messages",
                                                   "/v1/messages",
                                                   "/v1/messages",
                                                   "/v1/messages?beta=true",
                                                   "/v1/messages/count_tokens",
                                                   "/v1/chat/completions",
                                                   "/v1/responses",
                                                   "/germline/v1/events"};
  static const std::vector<std::string> others = {"/",
                                                  "/v1/models",
                                                  "/v1/models/scripted-1",
                                                  "*",
                                                  "/v1/messages/",
                                                  "/v1//messages",
                                                  "http://x/v1/messages",
                                                  "/v1/messages?x=1",
                                                  "/v1/messages%20",
                                                  "/v1/me\xffsages",
                                                  "x:1",
                                                  "/../"};
  static const std::vector<std::string> methods = {"GET",  "HEAD",    "PUT", "CONNECT", "PRI",
                                                   "post", "OPTIONS", "A B", "",        "P\x01ST"};
  static const std::vector<std::string> versions = {"HTTP/1.0", "HTTP/2.0",  "HTTP/1.1 ",
                                                    "http/1.1", "HTTP/1.10", ""};
  target = pick(targets, random);
  if (!one_in(4, random)) return "POST " + target + " HTTP/1.1\r\n";
  if (one_in(3, random)) {
    target = "/";
    return "HEAD / HTTP/1.1\r\n";
  }
  if (one_in(2, random)) target = pick(others, random);
  const auto method = one_in(2, random) ? pick(methods, random) : "POST";
  const auto version = one_in(4, random) ? pick(versions, random) : "HTTP/1.1";
  return method + " " + target + " " + version + "\r\n";
}

std::string fetch_target(const std::string& mark, random_source& random) {
  static const std::vector<std::string> good = {"/npm/quince",
                                                "/npm/@orchard/quince",
                                                "/npm/@orchard%2fquince",
                                                "/npm/quince/-/quince-1.0.0.tgz",
                                                "/npm/@orchard/quince/-/quince-1.0.0-b+1.tgz",
                                                "/quince",
                                                "/@orchard/quince/-/quince-2.tgz",
                                                "/files/plain/leaf.txt",
                                                "/files/base/plain/leaf.txt"};
  static const std::vector<std::string> bad = {"/",
                                               "*",
                                               "/npm",
                                               "/npm/",
                                               "/files/",
                                               "/files/plain/../leaf.txt",
                                               "/files/plain/leaf.txt/",
                                               "/files//plain/leaf.txt",
                                               "/npm/quince?q=1",
                                               "/npm/quince#f",
                                               "/npm/%71uince",
                                               "/npm/..%2f..%2fx",
                                               "/npm/quince%00",
                                               "/npm/quince%",
                                               "/npm/quince%2",
                                               "/npm/@orchard%2f..%2fx",
                                               "/npm/quince/-/quince.tgz/x",
                                               "/npm/-/v1/search",
                                               "/npm/qu\xffince",
                                               "//npm/quince",
                                               "/other/quince",
                                               "/npm/quince\t",
                                               "http://x/npm/quince",
                                               "x:1",
                                               "npm/quince"};
  if (one_in(20, random)) return "/npm/" + std::string(400 + random.below(300), 'a');
  if (one_in(200, random)) return "/npm/" + std::string(20'000, 'a');
  if (one_in(4, random)) return pick(bad, random);
  auto target = pick(good, random);
  if (one_in(3, random))
    target.insert(target.find("quince") == target.npos ? 1 : target.find('q'), mark);
  return one_in(5, random) ? mutate_bytes(target, 2, random) : target;
}

}  // namespace

std::string hostile_fetches(const std::string& mark, random_source& random) {
  static const std::vector<std::string> methods = {
      "HEAD", "HEAD", "POST", "PUT", "DELETE", "get", "PRI", "GET ", "", "CONNECT", "TRACE"};
  static const std::vector<std::string> versions = {"HTTP/1.0", "HTTP/2.0",  "HTTP/1.1 ",
                                                    "http/1.1", "HTTP/1.10", ""};
  static const std::vector<std::string> fields = {"Accept: application/json, secret/words\r\n",
                                                  "Accept-Encoding: gzip;q=1, secretive\r\n",
                                                  "Cookie: secret\r\n",
                                                  "Authorization: Bearer secret\r\n",
                                                  "If-None-Match: secret\r\n",
                                                  "Range: bytes=0-5\r\n",
                                                  "Host: secret.example\r\n"};
  std::string all;
  for (auto count = 1 + random.below(4); count > 0; --count) {
    const auto name = mark + std::to_string(count);
    const auto method = one_in(4, random) ? pick(methods, random) : "GET";
    const auto version = one_in(20, random) ? pick(versions, random) : "HTTP/1.1";
    all += method + " " + fetch_target(name, random) + " " + version + "\r\nHost: x\r\n";
    while (one_in(3, random)) all += pick(fields, random);
    if (one_in(5, random)) all += more_fields(random);
    const auto smuggled = "GET /npm/hidden-" + name + " HTTP/1.1\r\nHost: x\r\n\r\n";
    all += one_in(3, random) ? framed(one_in(2, random) ? "" : smuggled, smuggled, random) : "\r\n";
  }
  return one_in(4, random) ? mutate_bytes(std::move(all), 3, random) : all;
}

std::string marked_body(const std::string& mark, std::size_t size) {
  std::string body =
      R"({"model":"scripted-1","max_tokens":100,"messages":[{"role":"user","content":")" + mark;
  body.resize(std::max(body.size(), size), '.');
  return body + "\"}]}";
}

std::string hostile_requests(const std::string& token, const std::string& mark,
                             random_source& random) {
  std::string all;
  for (auto count = 1 + random.below(3); count > 0; --count) {
    const auto name = mark + "_" + std::to_string(count);
    std::string target;
    all += request_line(random, target) + "Host: x\r\n";
    if (!one_in(20, random)) all += "x-api-key: " + token + "\r\n";
    if (one_in(3, random)) all += more_fields(random);
    const auto hidden = marked_body(name + "_hidden");
    const auto smuggled = "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: " + token + "\r\n" +
                          length_of(hidden) + "\r\n" + hidden;
    const auto body = one_in(5, random) ? smuggled : body_for(target, name);
    all += framed(body, smuggled, random);
  }
  return one_in(3, random) ? mutate_bytes(std::move(all), 3, random) : all;
}

}  // namespace germline::tests
