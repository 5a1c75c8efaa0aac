// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/lease_when_clean.hpp"

#include <algorithm>

#include "client/functions.hpp"

namespace vfb::client {
namespace {

bool is_meant(const LeaseRequest& request, const FunctionSummary& function) {
    if (request.functions.empty()) return function.pool == request.pool;
    return std::ranges::find(request.functions, function.address) != request.functions.end();
}

bool is_being_cleaned(Client& client, const LeaseRequest& request) {
    const auto functions = list(client, true);
    if (!functions) return false;
    return std::ranges::any_of(*functions, [&request](const FunctionSummary& function) {
        return is_meant(request, function) &&
               (function.state == "preparing" || function.state == "dirty");
    });
}

}  // namespace

Result<Lease> lease_when_clean(Client& client, LeaseRequest request, std::chrono::seconds cleaning,
                               std::chrono::milliseconds timeout) {
    auto reply = client.call("Lease", to_json(request), timeout);
    if (!reply && reply.error().code == Code::busy && is_being_cleaned(client, request)) {
        request.wait_seconds = cleaning.count();
        reply = client.call("Lease", to_json(request), timeout);
    }
    if (!reply) return std::unexpected(std::move(reply).error());
    return read_lease(std::move(*reply));
}

}  // namespace vfb::client
