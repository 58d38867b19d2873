// bulk_client: the worker's side of the bulk calls of fleet.proto, over a channel of its own. Each
// call is one try; what is done about one that broke is transfers'. Owns no thread but that of each
// call's guard. Any thread.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "germline/v1/fleet.grpc.pb.h"
#include "worker/node/call_guard.hpp"
#include "worker/node/transport.hpp"

namespace germline::worker {

class bulk_client final : public transport {
 public:
  explicit bulk_client(const std::shared_ptr<grpc::Channel>& channel, patience limits = {});

  result<void> fetch(const fetch_wish& wish, arrival& so_far, transfer_watch& watch) override;
  result<std::int64_t> put_offset(const put_parcel& parcel, transfer_watch& watch) override;
  result<std::string> put(const put_parcel& parcel, std::int64_t offset,
                          transfer_watch& watch) override;

 private:
  std::unique_ptr<v1::Fleet::Stub> stub_;
  const patience limits_;
};

}  // namespace germline::worker
