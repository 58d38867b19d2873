// transcript_size: how many bytes a conversation takes in a transcript, beside what its requests
// and answers have, and how long it takes to write. Usage: transcript_size FILE ...: an agent that
// reads these files, 2,000 bytes a turn, for 30 turns, so that the last request has some 60 KB.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "worker/gateway/transcript.hpp"
#include "worker/gateway/transcript_reader.hpp"

namespace germline::bench {
namespace {

using nlohmann::json;

constexpr int turns = 30;
constexpr std::size_t turn_bytes = 1'800;

std::string read_all(int count, char** files) {
  std::ostringstream text;
  for (int i = 0; i < count; ++i) text << std::ifstream(files[i]).rdbuf();
  return text.str();
}

worker::transcript_entry entry_of(const json& request, const json& said) {
  worker::transcript_entry entry;
  entry.path = "/v1/messages";
  entry.request = std::make_shared<std::string>(request.dump());
  entry.status = 200;
  entry.response = json({{"id", "msg_1"},
                         {"role", "assistant"},
                         {"content", said},
                         {"usage", {{"input_tokens", 1'000}, {"output_tokens", 100}}}})
                       .dump();
  entry.outcome = "settled";
  entry.cost_nanousd = 1;
  return entry;
}

int run(int count, char** files) {
  const auto source = read_all(count, files);
  if (source.size() < turns * turn_bytes) {
    std::fprintf(stderr, "usage: transcript_size FILE ..., of %zu bytes together\n",
                 turns * turn_bytes);
    return 2;
  }
  std::string folder = "/tmp/transcript_size.XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  auto file = worker::transcript::open(folder, "att_1", 64 << 20, {});
  if (!file) return 1;
  json request = {{"model", "m"}, {"max_tokens", 1'000}};
  request["system"] = "You change your own source. Read before you write.";
  request["tools"] = {{{"name", "bash"}, {"input_schema", {{"type", "object"}}}}};
  request["messages"] = {{{"role", "user"}, {"content", "Make the tests faster."}}};
  std::chrono::nanoseconds took{};
  std::size_t largest = 0;
  for (std::size_t turn = 0; turn < turns; ++turn) {
    const auto id = "toolu_" + std::to_string(turn);
    const json said = {
        {{"type", "text"}, {"text", "I read on, at " + std::to_string(turn) + "."}},
        {{"type", "tool_use"},
         {"id", id},
         {"name", "bash"},
         {"input", {{"command", "sed -n " + std::to_string(turn * 40) + ",+40p x"}}}}};
    const auto entry = entry_of(request, said);
    largest = entry.request->size();
    const auto began = std::chrono::steady_clock::now();
    if (!file->append(entry)) return 1;
    took += std::chrono::steady_clock::now() - began;
    request["messages"].push_back({{"role", "assistant"}, {"content", said}});
    request["messages"].push_back(
        {{"role", "user"},
         {"content",
          {{{"type", "tool_result"},
            {"tool_use_id", id},
            {"content", source.substr(turn * turn_bytes, turn_bytes)}}}}});
  }
  const auto path = folder + "/att_1.jsonl";
  const auto reader = worker::transcript_reader::open(path);
  if (!reader) return 1;
  std::size_t bodies = 0;
  std::size_t whole = 0;
  for (std::size_t i = 0; i < reader->size(); ++i) {
    const auto one = reader->read(i);
    if (!one) return 1;
    bodies += one->request.size() + one->response.size();
    whole += exported_line(*one).size();
  }
  const auto stored = std::filesystem::file_size(path);
  std::printf("%d turns, the last request has %zu bytes\n", turns, largest);
  std::printf("requests and answers: %9zu bytes\n", bodies);
  std::printf("as whole lines:       %9zu bytes\n", whole);
  std::printf("in the transcript:    %9zu bytes, a %.0fth of it\n",
              static_cast<std::size_t>(stored),
              static_cast<double>(whole) / static_cast<double>(stored));
  std::printf("written in:           %9.3f ms a request\n",
              static_cast<double>(took.count()) / 1e6 / turns);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace germline::bench

int main(int argc, char** argv) {
  return germline::bench::run(argc - 1, argv + 1);
}
