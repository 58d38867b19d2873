#include "worker/gateway/transcript_writer.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>

#include "worker/gateway/transcript_reader.hpp"

using namespace germline::worker;

namespace {

struct scratch {
  scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~scratch() { std::filesystem::remove_all(path); }
  std::shared_ptr<transcript_writer::record> record(const std::string& name) const {
    auto opened = transcript::open(path, name, 1 << 20, {});
    REQUIRE(opened);
    return std::make_shared<transcript_writer::record>(
        transcript_writer::record{name, std::move(*opened)});
  }
  /// As it is in the file, and then all that can be read of it.
  std::string text(const std::string& name) const {
    std::ifstream file(path + "/" + name + ".jsonl");
    std::ostringstream whole;
    whole << file.rdbuf();
    const auto reader = transcript_reader::open(path + "/" + name + ".jsonl");
    REQUIRE(reader);
    for (std::size_t i = 0; i < reader->size(); ++i) whole << exported_line(*reader->read(i));
    return whole.str();
  }
  std::string path = "/tmp/transcript_writer_test.XXXXXX";
};

transcript_entry entry(const std::string& request, std::size_t size = 0) {
  transcript_entry made;
  made.request = std::make_shared<std::string>(request + std::string(size, 'x'));
  made.outcome = "settled";
  made.cost_nanousd = 1;
  return made;
}

/// The writer writes nothing until `go_on` is set.
void stand_still(transcript_writer& writer, const std::shared_ptr<transcript_writer::record>& ended,
                 std::promise<void>& go_on) {
  const auto reached = std::make_shared<std::promise<void>>();
  writer.close(ended, [reached, &go_on] {
    reached->set_value();
    go_on.get_future().wait();
  });
  reached->get_future().wait();
}

}  // namespace

TEST_CASE("transcripts are written in order while others wait, and closed when all is there") {
  const scratch folder;
  transcript_writer writer;
  const auto one = folder.record("att_1");
  const auto other = folder.record("att_2");
  for (int i = 0; i < 50; ++i) {
    writer.append(one, entry("first-" + std::to_string(i) + "."));
    writer.append(other, entry("second-" + std::to_string(i) + "."));
  }
  std::promise<std::string> closed;
  writer.close(one, [&] { closed.set_value(folder.text("att_1")); });
  const auto text = closed.get_future().get();
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = text.find("first-" + std::to_string(i) + ".", at);
    REQUIRE(at != text.npos);
  }
  CHECK(text.find("second") == text.npos);
  CHECK(writer.finish(std::chrono::seconds(10)));
  CHECK(folder.text("att_2").find("second-49.") != std::string::npos);
}

TEST_CASE("what a slow disk leaves no room for is dropped and counted, and nobody waits for it") {
  const scratch folder;
  transcript_writer writer(80'000);
  const auto one = folder.record("att_1");
  const auto other = folder.record("att_2");
  const auto ended = folder.record("att_3");
  std::promise<void> go_on;
  stand_still(writer, ended, go_on);
  for (int i = 0; i < 10; ++i) writer.append(one, entry("n" + std::to_string(i), 6000));
  // One attempt does not take the room of another; alone, what is larger than its share is let in.
  for (int i = 0; i < 3; ++i) writer.append(other, entry("n" + std::to_string(i), 40'000));
  CHECK_FALSE(writer.finish(std::chrono::milliseconds(10)));
  go_on.set_value();
  CHECK(writer.finish(std::chrono::seconds(10)));
  const auto text = folder.text("att_1");
  CHECK(text.find("\"n2x") != text.npos);
  CHECK(text.find("\"n3x") == text.npos);
  CHECK(text.find("{\"lost\": 7}\n") != text.npos);
  CHECK(folder.text("att_2").find("\"n0x") != text.npos);
  CHECK(folder.text("att_2").find("{\"lost\": 2}\n") != text.npos);
  writer.append(one, entry("later"));
  CHECK(writer.finish(std::chrono::seconds(10)));
  CHECK(folder.text("att_1").find("later") != std::string::npos);
}

TEST_CASE("what is large or free of charge takes no room from what is charged") {
  const scratch folder;
  transcript_writer writer(640'000);
  const auto one = folder.record("att_1");
  const auto ended = folder.record("att_2");
  std::promise<void> go_on;
  stand_still(writer, ended, go_on);
  auto free = entry("counted.", 250'000);
  free.cost_nanousd = 0;
  writer.append(one, free);
  writer.append(one, free);  // one of them
  writer.append(one, entry("large.", 200'000));
  CHECK_FALSE(writer.append_request(  // the last eighth is for small ones
      one, 7, std::make_shared<const std::string>(std::string(200'000, 'x'))));
  for (int i = 0; i < 50; ++i) writer.append(one, entry("small-" + std::to_string(i) + ".", 1'000));
  go_on.set_value();
  REQUIRE(writer.finish(std::chrono::seconds(10)));
  const auto text = folder.text("att_1");
  CHECK(text.find("{\"lost\": 1}\n") != text.npos);
  CHECK(text.find("counted.") != text.npos);
  CHECK(text.find("large.") != text.npos);
  for (int i = 0; i < 50; ++i) {
    CAPTURE(i);
    CHECK(text.find("small-" + std::to_string(i) + ".") != text.npos);
  }
}

TEST_CASE("a request that is written before its entry is in it") {
  const scratch folder;
  transcript_writer writer;
  const auto one = folder.record("att_1");
  const auto text = [](const std::string& begin) {
    return std::make_shared<const std::string>(begin + std::string(6000, 'x'));
  };
  CHECK(writer.append_request(one, 7, text("seventh.")));
  CHECK(writer.append_request(one, 8, text("eighth.")));
  for (const std::uint64_t id : {8, 7, 9}) {  // there was no ninth
    auto late = entry("");
    late.request.reset();
    late.kept_request = id;
    late.response = "answer to " + std::to_string(id);
    writer.append(one, late);
  }
  writer.append(one, entry("tenth."));
  REQUIRE(writer.finish(std::chrono::seconds(10)));
  CHECK_FALSE(writer.is_writing());
  const auto reader = transcript_reader::open(folder.path + "/att_1.jsonl");
  REQUIRE(reader);
  REQUIRE(reader->size() == 4);
  CHECK(reader->read(0)->request == *text("eighth."));
  CHECK(reader->read(0)->response == "answer to 8");
  CHECK(reader->read(1)->request == *text("seventh."));
  CHECK_FALSE(reader->read(1)->request_cut);
  CHECK(reader->read(2)->request.empty());
  CHECK(reader->read(2)->request_cut);
  CHECK(reader->read(3)->request == "tenth.");
}

TEST_CASE("a request for which there is no room is left to whoever holds it") {
  const scratch folder;
  transcript_writer writer(10'000);
  const auto one = folder.record("att_1");
  const auto large = std::make_shared<const std::string>(20'000, 'x');
  CHECK_FALSE(writer.append_request(one, 1, large));
  one->closed = true;
  CHECK(writer.append_request(one, 1, large));  // then nothing is written of it anyway
}
