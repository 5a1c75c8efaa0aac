// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/deferred_owner.hpp"

namespace vfb::client {
namespace {

std::string_view method_of(const LeaseRequest& request) {
    if (request.owner == "process") return "Transfer";
    if (request.owner == "guest" && request.hand_off != "netdev") return "Keep";
    return {};
}

}  // namespace

std::string_view defer_owner(LeaseRequest& request) {
    const std::string_view method = method_of(request);
    if (!method.empty()) request.owner = "connection";
    return method;
}

Result<> give_to_owner(Client& client, std::string_view method, const Lease& lease) {
    if (method.empty()) return {};
    auto given = client.call(method, {{"lease", lease.id}});
    if (given) return {};
    // When this fails as well, the connection is gone, and the lease with it.
    const auto ended = release(client, lease.id, lease.generation());
    Error error = std::move(given).error();
    if (!ended && ended.error().code != Code::lost && ended.error().code != Code::not_found)
        error.hint = "lease " + std::to_string(lease.id) + " goes on until this program ends";
    return std::unexpected(std::move(error));
}

}  // namespace vfb::client
