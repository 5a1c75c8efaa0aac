// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/lease_when_clean.hpp"

#include <algorithm>
#include <optional>

#include "client/functions.hpp"

namespace vfb::client {
namespace {

// For a function that is free by now.
constexpr std::chrono::seconds kAgain{1};

bool is_meant(const LeaseRequest& request, const FunctionSummary& function) {
    if (request.functions.empty()) return function.pool == request.pool;
    return std::ranges::find(request.functions, function.address) != request.functions.end();
}

// How long to wait for what has refused the request; nullopt: waiting does not help.
std::optional<std::chrono::seconds> worth_waiting(Client& client, const LeaseRequest& request,
                                                  std::chrono::seconds cleaning) {
    const auto functions = list(client, true);
    if (!functions) return std::nullopt;
    std::optional<std::chrono::seconds> wait;
    for (const FunctionSummary& function : *functions) {
        if (!is_meant(request, function)) continue;
        if (function.state == "preparing" || function.state == "dirty") return cleaning;
        // The scrub that the refusal was about may have ended since; or it was refused for
        // something else, as drained, which no time mends.
        if (function.state == "clean") wait = kAgain;
    }
    return wait;
}

}  // namespace

Result<Lease> lease_when_clean(Client& client, LeaseRequest request, std::chrono::seconds cleaning,
                               std::chrono::milliseconds timeout) {
    auto reply = client.call("Lease", to_json(request), timeout);
    if (!reply && reply.error().code == Code::busy) {
        if (const auto wait = worth_waiting(client, request, cleaning)) {
            request.wait_seconds = wait->count();
            reply = client.call("Lease", to_json(request), timeout);
        }
    }
    if (!reply) return std::unexpected(std::move(reply).error());
    return read_lease(std::move(*reply));
}

}  // namespace vfb::client
