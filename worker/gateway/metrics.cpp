#include "worker/gateway/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <exception>

namespace germline::worker {
namespace {

using labels = std::map<std::string, std::string>;

// The bounds that the conventions ask for.
const prometheus::Histogram::BucketBoundaries token_bounds = {
    1,      4,      16,      64,        256,       1'024,      4'096,
    16'384, 65'536, 262'144, 1'048'576, 4'194'304, 16'777'216, 67'108'864};
const prometheus::Histogram::BucketBoundaries duration_bounds = {
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
const prometheus::Histogram::BucketBoundaries chunk_bounds = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0};

/// Why nobody can listen there, since the exposer's library does not say. Empty: it is free now.
boost::system::error_code why_not(const std::string& host, int port) {
  namespace ip = boost::asio::ip;
  boost::system::error_code failed;
  const auto address = ip::make_address_v4(host, failed);
  if (failed) return failed;
  const ip::tcp::endpoint at(address, static_cast<unsigned short>(port));
  boost::asio::io_context context;
  ip::tcp::acceptor probe(context);
  if (probe.open(at.protocol(), failed) ||
      probe.set_option(boost::asio::socket_base::reuse_address(true), failed) ||
      probe.bind(at, failed)) {
    return failed;
  }
  probe.listen(1, failed);
  return failed;
}

std::string words_of(const boost::system::error_code& failed) {
  namespace errc = boost::system::errc;
  if (failed == errc::address_in_use) {
    return "another program listens there; end it, or name another port, or a range of them for "
           "several gateways on one machine, as 9464-9471";
  }
  if (failed == errc::address_not_available) {
    return "this machine has no such address; name one that it has, as 127.0.0.1:9464, or "
           "0.0.0.0:9464 for all";
  }
  if (failed == errc::permission_denied) {
    return "a port below 1024 is not for the gateway's account; name a higher one, as 9464";
  }
  return failed.message();
}

/// Of an address that was free just before.
std::string words_of(const std::exception& failed) {
  return std::string("its server did not start, though the address was free (") + failed.what() +
         "); try again, and if it stays so, look whether the gateway's account may have more "
         "threads (ulimit -u), open files (ulimit -n) and memory (ulimit -v)";
}

}  // namespace

struct gateway_metrics::impl {
  using histograms = prometheus::Family<prometheus::Histogram>;
  using counters = prometheus::Family<prometheus::Counter>;

  histograms& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry);
  }
  counters& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
  }

  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  histograms& tokens = histogram("gen_ai_client_token_usage", "Tokens of a request, as billed");
  histograms& durations = histogram("gen_ai_client_operation_duration_seconds",
                                    "From the request's arrival to its answer's end");
  histograms& first_chunks = histogram("gen_ai_client_operation_time_to_first_chunk_seconds",
                                       "From the request's arrival to the first of its stream");
  counters& requests = counter("germline_gateway_requests_total",
                               "Requests by what became of their money; refused: asked nobody");
  counters& cost = counter("germline_gateway_cost_usd_total", "By the price table");
  counters& cached = counter("germline_gateway_cache_tokens_total",
                             "Of the input tokens, those that a cache was written or read for");
  std::unique_ptr<prometheus::Exposer> served;
};

gateway_metrics::gateway_metrics() : impl_(std::make_unique<impl>()) {}
gateway_metrics::~gateway_metrics() = default;

result<std::string> gateway_metrics::listen(const metrics_place& place) {
  std::string why;
  for (int port = place.first_port; port <= place.last_port; ++port) {
    const auto address = place.host + ":" + std::to_string(port);
    const auto taken = why_not(place.host, port);
    why = words_of(taken);
    if (taken == boost::system::errc::address_not_available) break;  // nor at any other port
    if (taken) continue;
    try {
      impl_->served = std::make_unique<prometheus::Exposer>(address, 1);
      impl_->served->RegisterCollectable(impl_->registry);
      return address;
    } catch (const std::exception& failed) {
      why = words_of(failed);  // another look may meet the socket that it left behind
    }
  }
  auto ports = std::to_string(place.first_port);
  if (place.last_port > place.first_port) ports += "-" + std::to_string(place.last_port);
  return error(error_code::unavailable, "[metrics] listen = '" + place.host + ":" + ports +
                                            "': metrics cannot be served there: " + why);
}

void gateway_metrics::note(const measured_request& one) {
  auto& to = *impl_;
  const std::string model(one.model);
  to.requests.Add({{"gen_ai_request_model", model}, {"outcome", std::string(one.outcome)}})
      .Increment();
  if (one.provider.empty()) return;
  const labels of = {{"gen_ai_operation_name", "chat"},
                     {"gen_ai_provider_name", std::string(one.provider)},
                     {"gen_ai_request_model", model}};
  auto ended = of;
  if (!one.error.empty()) ended["error_type"] = one.error;
  to.durations.Add(ended, duration_bounds).Observe(one.seconds);
  if (one.first_chunk_seconds) {
    to.first_chunks.Add(of, chunk_bounds).Observe(*one.first_chunk_seconds);
  }
  to.cost.Add({{"gen_ai_request_model", model}})
      .Increment(static_cast<double>(one.cost_nanousd) / 1e9);
  const auto& used = one.tokens;
  const auto count = [&](const char* type, std::int64_t tokens) {
    if (tokens <= 0) return;
    auto with_type = of;
    with_type["gen_ai_token_type"] = type;
    to.tokens.Add(with_type, token_bounds).Observe(static_cast<double>(tokens));
  };
  count("input", used.input + used.cache_write + used.cache_read);
  count("output", used.output);
  const auto count_cached = [&](const char* kind, std::int64_t tokens) {
    if (tokens <= 0) return;
    to.cached.Add({{"gen_ai_request_model", model}, {"kind", kind}})
        .Increment(static_cast<double>(tokens));
  };
  count_cached("write", used.cache_write);
  count_cached("read", used.cache_read);
}

std::string gateway_metrics::text() const {
  return prometheus::TextSerializer().Serialize(impl_->registry->Collect());
}

}  // namespace germline::worker
