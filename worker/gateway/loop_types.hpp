// loop_types: Asio's types for what a session does, bound to the io_context's own executor. Asio's
// defaults can hold any executor, and with them each operation makes a copy, a virtual call and an
// allocation more.
#pragma once

#include <utility>  // Boost 1.74 forgets it in awaitable.hpp

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/basic_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>

namespace germline::worker {

using loop_executor = boost::asio::io_context::executor_type;
template <class Result>
using loop_task = boost::asio::awaitable<Result, loop_executor>;
using loop_timer = boost::asio::basic_waitable_timer<
    std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, loop_executor>;
using tcp_listener = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, loop_executor>;
using tcp_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, loop_executor>;
using tcp_stream = boost::beast::basic_stream<boost::asio::ip::tcp, loop_executor>;

/// To be waited on. (Of Boost 1.74 basic_stream_descriptor cannot be moved with such an executor.)
struct loop_descriptor : boost::asio::posix::basic_descriptor<loop_executor> {
  using basic_descriptor::basic_descriptor;
};

/// What to wait with in a loop_task: an error is told in `failed`, and not thrown.
inline auto into(boost::system::error_code& failed) {
  return boost::asio::redirect_error(boost::asio::use_awaitable_t<loop_executor>(), failed);
}

}  // namespace germline::worker
