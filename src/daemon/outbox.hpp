// SPDX-License-Identifier: GPL-2.0-or-later
//
// Outbox: answers of a worker's threads, on their way to the one thread that owns the connection to
// the daemon.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "proto/connection.hpp"

namespace vfb::daemon {

class Outbox {
public:
    Outbox();

    // From any thread. `body` has the request's `id`.
    void put(proto::Json body, std::vector<UniqueFd> descriptors);
    // Queues all of them. One that the connection refuses (more descriptors than fit into a
    // message, more text than it holds) becomes an error for its request: the others go on.
    Result<> send_all(proto::Connection& connection);
    // Readable when there is something to send.
    [[nodiscard]] int fd() const { return wake_.get(); }

private:
    UniqueFd wake_;
    std::mutex mutex_;
    std::vector<std::pair<proto::Json, std::vector<UniqueFd>>> answers_;
};

}  // namespace vfb::daemon
