// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/lease_list.hpp"

#include <algorithm>

#include "answers.hpp"
#include "client/lease.hpp"

namespace vfb::client {
namespace {

using proto::Json;

bool is(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

Result<HeldFunction> read_function(const Json& object) {
    if (!object.is_object()) return unusable("a function of a lease is no object");
    HeldFunction function;
    VFB_TRY(function.address, text(object, "address"));
    VFB_TRY(function.generation, number(object, "generation"));
    function.lost = is(object, "lost");
    return function;
}

Result<LeaseSummary> read_one(const Json& object) {
    if (!object.is_object()) return unusable("a lease is no object");
    LeaseSummary lease;
    VFB_TRY(lease.id, number(object, "id"));
    VFB_TRY(lease.uid, number(object, "uid"));
    VFB_TRY(lease.pid, number(object, "pid"));
    VFB_TRY(lease.owner, text(object, "owner"));
    if (object.contains("guest") && !object["guest"].is_null()) {
        VFB_TRY(lease.guest, text(object, "guest"));
    }
    VFB_TRY(const Json* functions, array(object, "functions"));
    if (functions->empty()) return unusable("a lease has no functions");
    for (const Json& entry : *functions) {
        VFB_TRY(auto function, read_function(entry));
        lease.functions.push_back(std::move(function));
    }
    return lease;
}

}  // namespace

bool LeaseSummary::holds(const std::string& address) const {
    return std::ranges::find(functions, address, &HeldFunction::address) != functions.end();
}

Result<std::vector<LeaseSummary>> leases(Client& client,
                                         std::optional<std::chrono::milliseconds> timeout) {
    VFB_TRY(const auto reply, client.call("ListLeases", Json::object(), timeout));
    return read_leases(reply.parameters);
}

Result<std::vector<LeaseSummary>> read_leases(const Json& parameters) {
    std::vector<LeaseSummary> leases;
    VFB_TRY(const Json* list, array(parameters, "leases"));
    for (const Json& entry : *list) {
        VFB_TRY(auto lease, read_one(entry));
        leases.push_back(std::move(lease));
    }
    return leases;
}

Result<> end(Client& client, const LeaseSummary& lease) {
    auto released = release(client, lease.id, lease.functions.front().generation);
    if (released || released.error().code == Code::not_found) return {};
    return released;
}

}  // namespace vfb::client
