// session: one connection from a sandbox: reads requests under bounds, judges them, sends them
// upstream, passes the answers on as they come, and accounts for each. Hostile bytes arrive here.
// A session lives in its coroutine's frame, which holds its attempt; all on the io_context's
// thread.
#pragma once

#include <array>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "worker/gateway/attempt.hpp"
#include "worker/gateway/dialect.hpp"
#include "worker/gateway/loop_types.hpp"
#include "worker/gateway/pending_answer.hpp"
#include "worker/gateway/translation/translator.hpp"

namespace germline::worker {

/// Serves the connection until it ends or is cut.
void serve(std::shared_ptr<attempt> owner, tcp_socket socket);

class session {
 public:
  session(attempt& owner, tcp_socket socket);
  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  loop_task<void> run();
  /// Ends the connection and its upstream call at once, and accounts for it.
  void cut();
  /// Of a stream whose request found no room in the transcript: there may be some now.
  void record_request_again();

 private:
  using parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  static constexpr std::string_view no_room_now =
      "requests under way hold as many bytes as may be held at a time; wait for one to end";
  static constexpr std::int64_t no_room_ms = 1'000;  // to wait then

  using header_list = std::vector<std::pair<std::string, std::string>>;

  /// An answer that the gateway itself gives.
  struct reply {
    unsigned status = 200;
    std::string body;
    std::string content_type = "application/json";
    header_list headers;
  };
  /// A request's body as one kind of upstream gets it.
  struct form {
    request_facts facts;
    std::shared_ptr<const std::string> body;
    const translation::translator* by = nullptr;  // null: the client's own dialect is spoken
    translation::answer_traits traits;
  };
  /// Upstreams that get the same: by chat_cap, chat_store_false, and whether it is translated.
  using form_key = std::tuple<std::string_view, bool, bool>;
  /// Where a request may go next.
  struct next_try {
    std::optional<std::size_t> index;  // of the upstream; none: none is free
    std::int64_t wait_ms = 0;          // then: until one might be; 0: never
    bool broken = false;               // then: they do not answer
    bool again = false;                // it was asked already
  };
  /// One request to the model on its way.
  struct exchange {
    const dialect& speaks;
    route_kind kind;
    std::string path;
    held_bytes held;  // of the body, and of an answer that does not stream
    std::shared_ptr<const std::string> body;
    std::vector<std::string> headers;
    request_facts facts;
    request_bound bound;
    model_price price;  // when it began
    std::int64_t began_ms = 0;
    std::int64_t first_chunk_ms = 0;  // of a stream; 0: none yet
    std::optional<std::uint64_t> reservation;
    std::uint64_t serial = 0;  // of the last one: no other request of the attempt has it
    std::uint64_t first_serial = 0;
    std::string_view outcome = "refused";
    std::string problem = "it was cut off";  // told where no whole answer comes
    token_counts tokens;
    std::int64_t cost_nanousd = 0;         // of the last try
    std::int64_t tries = 0;                // each is a request to the attempt's account
    std::int64_t tries_by_bound = 0;       // of those, charged so
    std::int64_t before_nanousd = 0;       // what the tries before the last one cost
    std::unique_ptr<answer_reader> usage;  // of a stream
    std::string kept;                      // the answer, for the transcript
    bool kept_cut = false;
    // Where it was, and may still go (session_upstream.cpp).
    std::vector<std::size_t> direct;      // upstreams that speak the client's dialect
    std::vector<std::size_t> translated;  // that are asked in another, if none of these can be
    std::map<form_key, form> forms;
    const form* as = nullptr;                   // of what is being asked
    std::shared_ptr<const std::string> client;  // the client's body, where it may be translated
    std::optional<upstream_roster::turn> turn;  // at the upstream being asked
    std::optional<pending_answer> from;         // and its answer
    std::string_view upstream;                  // and its name
    std::string provider;                       // and that of who runs it
    std::set<std::size_t> tried;
    std::set<std::size_t> spent;      // of those: no wait helps
    std::optional<std::size_t> only;  // the one that may have begun to answer
    int retries = 0;                  // of upstreams tried before
    int waits = 0;
    unsigned status = 0;             // that the client has begun to get
    std::uint64_t kept_request = 0;  // its id in the transcript; 0: it is still held
    bool recorded = false;
    bool keeps_request = false;  // until the transcript has room for it
  };

  loop_task<bool> serve_one();
  loop_task<void> drain();
  loop_task<void> read_head(parser& request, boost::system::error_code& failed);
  loop_task<bool> read_body(parser& request, held_bytes& held);
  loop_task<void> read_counted(parser& request, boost::system::error_code& failed);
  loop_task<void> read_chunked(parser& request, held_bytes& held,
                               boost::system::error_code& failed);
  loop_task<bool> answer(reply out, bool keep_alive, bool head_only = false);
  /// `retry_after_ms` 0: none is told.
  loop_task<bool> refuse(unsigned status, std::string_view message,
                         std::int64_t retry_after_ms = 0);
  const dialect& shape_of(const parser& request) const;
  loop_task<bool> route(parser& request);
  loop_task<bool> serve_models(parser& request, std::string_view path);
  loop_task<bool> serve_event(parser& request);
  loop_task<bool> serve_model(parser& request, exchange& one);
  loop_task<bool> forward(exchange& one, bool keep_alive);
  loop_task<bool> pass_stream(exchange& one, pending_answer& from, bool keep_alive);
  loop_task<bool> pass_whole(exchange& one, pending_answer& from, bool keep_alive);
  /// Bytes of a head and a body, or of either.
  using buffer_pair = std::array<boost::asio::const_buffer, 2>;
  /// False, in both: the client is gone.
  loop_task<bool> write_all(buffer_pair bytes);
  loop_task<bool> write(std::string bytes);
  loop_task<void> wait_change();
  loop_task<void> stop_watching();
  loop_task<bool> count_here(exchange& one, bool keep_alive);
  static translation::answer_traits traits_of(const exchange& one);
  std::string translate_piece(exchange& one, translation::stream_translator& by,
                              std::string_view bytes);
  /// Of an answer that is whole: as the client reads it. False: it cannot be read.
  bool translate_answer(const exchange& one, const std::optional<token_counts>& used, reply& out);

  /// What to answer instead where there is none.
  loop_task<std::optional<reply>> pick_upstream(exchange& one);
  loop_task<void> pause(std::int64_t for_ms);
  std::optional<reply> shape_forms(exchange& one, const request_limits& bounds);
  std::optional<reply> shape_direct(exchange& one, const request_limits& bounds);
  std::optional<reply> shape_translated(exchange& one, const request_limits& bounds);
  /// Judges the client's body; fills in `facts`, or tells what to answer instead.
  std::optional<reply> judge_client(const exchange& one, const request_limits& limits,
                                    request_facts& facts);
  static void raise_bound(exchange& one, const request_facts& facts);
  next_try next(const exchange& one);
  bool may_go_on(const exchange& one, bool went_out);
  static bool worth_waiting(const exchange& one, const next_try& for_it);
  void take(exchange& one, std::size_t index);
  form_key key_of(const exchange& one, std::size_t index);
  /// Where `more` bytes cannot be held.
  reply no_room(const exchange& one, std::size_t more);
  reply no_upstream(exchange& one, const next_try& found);
  /// Of an answer that is no success. Whether another try may help.
  bool note_answer(exchange& one, const upstream_head& head);
  /// The answer, if no other try helps.
  reply note_no_answer(exchange& one);
  static bool cannot_answer(unsigned status);

  std::optional<reply> prepare(parser& request, exchange& one);
  std::optional<reply> reserve(exchange& one);
  void account(exchange& one, std::optional<token_counts> tokens);
  void account_try(exchange& one, const std::optional<token_counts>& tokens);
  void charge_by_bound(exchange& one, std::uint64_t id);
  /// Those that a recording had beside the one that was accounted for.
  void repeat_tries(exchange& one, const recorded_bill& bill);
  /// None: what answers is no recording.
  static const recorded_bill* bill_of(const exchange& one);
  void account_late(exchange& one, const std::optional<token_counts>& tokens);
  void give_back(exchange& one);
  void release(exchange& one);
  /// Of the request, in all its forms.
  static std::size_t request_bytes(const exchange& one);
  /// What of the request a transcript shows: the client's own words, as the answer is.
  static const std::shared_ptr<const std::string>& shown_request(const exchange& one);
  /// Of an answer that has begun: the request is not sent again, and recorded now.
  void forget_request(exchange& one) const;
  void keep(exchange& one, std::string_view bytes);
  void finish_record(exchange& one, unsigned status);
  void measure(const exchange& one, unsigned status);
  static std::string head_of(unsigned status, const header_list& headers, bool keep_alive);
  static std::string retry_after(std::int64_t wait_ms);
  void watch_client();
  bool gone() const { return cut_ || hung_up_; }

  attempt& owner_;
  tcp_stream stream_;
  // Bounds what Boost's parser holds at a time: a head, the extension of a chunk, a trailer.
  boost::beast::flat_buffer buffer_{256 * 1024};
  loop_timer signal_;
  std::unique_ptr<upstream::call> call_;
  exchange* current_ = nullptr;
  const dialect* shape_ = &messages_dialect();  // of the errors of the present request
  bool cut_ = false;
  bool hung_up_ = false;
  bool refused_ = false;
  bool watching_ = false;  // the client, for a hang-up while its request is under way
};

}  // namespace germline::worker
