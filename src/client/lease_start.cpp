// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lease_start.hpp"

#include <poll.h>

#include <chrono>
#include <utility>

#include "base/deadline.hpp"
#include "client/deferred_owner.hpp"

namespace vfb::client {
namespace {

constexpr std::chrono::seconds kGiveUp{1};

proto::Json release_of(const Lease& lease) {
    return {{"lease", lease.id}, {"generation", lease.generation()}};
}

}  // namespace

Result<> LeaseStart::begin(Client& client, LeaseRequest request) {
    const std::string_view method = defer_owner(request);
    VFB_CHECK(client.start("Lease", to_json(request)));
    method_ = method;
    under_way_ = true;
    return {};
}

void LeaseStart::take(Client& client, Result<Reply> reply) {
    if (!under_way_ || result_) return;
    if (no_owner_)
        result_.emplace(std::unexpected(std::move(*no_owner_)));  // whatever the answer is
    else if (granted_)
        take_owner(client, reply);
    else
        take_lease(client, std::move(reply));
}

void LeaseStart::take_lease(Client& client, Result<Reply> reply) {
    auto lease = reply ? read_lease(std::move(*reply))
                       : Result<Lease>(std::unexpected(std::move(reply).error()));
    if (!lease || method_.empty()) {
        result_.emplace(std::move(lease));
        return;
    }
    if (auto started = client.start(method_, {{"lease", lease->id}}); !started) {
        result_.emplace(std::unexpected(std::move(started).error()));
        return;
    }
    granted_ = std::move(*lease);
}

void LeaseStart::take_owner(Client& client, const Result<Reply>& reply) {
    if (reply) {
        result_.emplace(std::move(*granted_));
        return;
    }
    // A connection that hung up has ended it.
    if (client.start("Release", release_of(*granted_)))
        no_owner_ = reply.error();
    else
        result_.emplace(std::unexpected(reply.error()));
}

Result<Lease> LeaseStart::fetch() {
    Result<Lease> result = std::move(*result_);
    *this = {};
    return result;
}

void LeaseStart::give_up(Client& client) {
    const Deadline deadline(kGiveUp);
    while (granted_ && !result_ && !client.hung_up() && !deadline.expired()) {
        pollfd poll{.fd = client.fd(), .events = POLLIN, .revents = 0};
        ::poll(&poll, 1, deadline.poll_timeout());
        auto reply = client.advance();
        if (!reply) {
            take(client, std::unexpected(std::move(reply).error()));
        } else if (*reply) {
            take(client, std::move(**reply));
        }
    }
    const std::chrono::milliseconds left(deadline.poll_timeout());
    // Nobody is left to be told of a failure: of the connection, a lease ends with that anyhow.
    if (result_ && *result_ && !method_.empty())
        (void)client.call("Release", release_of(**result_), left);
    *this = {};
}

}  // namespace vfb::client
