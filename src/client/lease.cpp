// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/lease.hpp"

#include <utility>

#include "answers.hpp"

namespace vfb::client {
namespace {

using proto::Json;

Json to_json(const ProcessId& process) {
    return {{"pid", process.pid}, {"startTime", process.start_time}};
}

template <class T>
void put(Json& object, const char* name, const std::optional<T>& value) {
    if (value) object[name] = *value;
}

Json to_json(const Attributes& attributes) {
    Json object = Json::object();
    put(object, "mac", attributes.mac);
    put(object, "vlan", attributes.vlan);
    put(object, "qos", attributes.qos);
    put(object, "vlanProtocol", attributes.vlan_protocol);
    put(object, "spoofCheck", attributes.spoof_check);
    put(object, "trust", attributes.trust);
    put(object, "minTxRate", attributes.min_tx_rate);
    put(object, "maxTxRate", attributes.max_tx_rate);
    put(object, "linkState", attributes.link_state);
    put(object, "rssQuery", attributes.rss_query);
    put(object, "nodeGuid", attributes.node_guid);
    put(object, "portGuid", attributes.port_guid);
    return object;
}

// Descriptors of a reply, each of which is taken at most once.
class Descriptors {
public:
    explicit Descriptors(std::vector<UniqueFd> fds) : fds_(std::move(fds)) {}

    Result<UniqueFd> take(const Json& index) {
        if (!index.is_number_integer()) return unusable("a descriptor's index is no number");
        const auto at = index.get<std::int64_t>();
        if (at < 0 || std::cmp_greater_equal(at, fds_.size()))
            return unusable("it names a descriptor that did not come with it");
        auto fd = std::move(fds_[static_cast<std::size_t>(at)]);
        if (!fd) return unusable("it names a descriptor twice");
        return fd;
    }
    // No descriptor when the member is absent or null.
    Result<UniqueFd> take_optional(const Json& object, const char* name) {
        const auto found = object.find(name);
        if (found == object.end() || found->is_null()) return UniqueFd();
        return take(*found);
    }

private:
    std::vector<UniqueFd> fds_;
};

Result<LeasedFunction> read_function(const Json& object, Descriptors& descriptors) {
    if (!object.is_object()) return unusable("a function of the lease is no object");
    LeasedFunction function;
    VFB_TRY(function.address, text(object, "address"));
    VFB_TRY(function.generation, number(object, "generation"));
    if (object.contains("node") && !object["node"].is_null()) {
        VFB_TRY(function.node, text(object, "node"));
    }
    if (object.contains("netdev") && !object["netdev"].is_null()) {
        VFB_TRY(function.netdev, text(object, "netdev"));
    }
    VFB_TRY(function.descriptor, descriptors.take_optional(object, "descriptor"));
    return function;
}

// Where descriptors were promised, none may be missing: nobody behind this checks again.
Result<> check_hand_off(Lease& lease, const Json& object) {
    VFB_TRY(const auto hand_off, text(object, "handOff"));
    lease.has_descriptors = hand_off == "descriptors";
    if (!lease.has_descriptors) return {};
    bool complete = static_cast<bool>(lease.context);
    for (const auto& function : lease.functions)
        complete = complete && static_cast<bool>(function.descriptor);
    if (!complete) return unusable("the lease lacks descriptors");
    return {};
}

}  // namespace

Json to_json(const LeaseRequest& request) {
    Json object = {{"pool", request.pool}};
    put(object, "count", request.count);
    if (!request.functions.empty()) object["functions"] = request.functions;
    put(object, "guest", request.guest);
    if (auto attributes = to_json(request.attributes); !attributes.empty())
        object["attributes"] = std::move(attributes);
    put(object, "backend", request.backend);
    put(object, "owner", request.owner);
    put(object, "handOff", request.hand_off);
    put(object, "memoryLock", request.memory_lock);
    put(object, "waitSeconds", request.wait_seconds);
    if (request.process) object["process"] = to_json(*request.process);
    put(object, "asTenant", request.as_tenant);
    return object;
}

Result<Lease> read_lease(Reply reply) {
    const auto found = reply.parameters.find("lease");
    if (found == reply.parameters.end() || !found->is_object())
        return unusable("it holds no lease");
    Descriptors descriptors(std::move(reply.descriptors));
    Lease lease;
    VFB_TRY(lease.id, number(*found, "id"));
    VFB_TRY(lease.pool, text(*found, "pool"));
    VFB_TRY(lease.backend, text(*found, "backend"));
    VFB_TRY(const Json* functions, array(*found, "functions"));
    if (functions->empty()) return unusable("the lease has no functions");
    for (const auto& object : *functions) {
        VFB_TRY(auto function, read_function(object, descriptors));
        lease.functions.push_back(std::move(function));
    }
    VFB_TRY(lease.context, descriptors.take_optional(*found, "contextDescriptor"));
    if (found->contains("groupDescriptors") && !(*found)["groupDescriptors"].is_null()) {
        VFB_TRY(const Json* groups, array(*found, "groupDescriptors"));
        for (const auto& index : *groups) {
            VFB_TRY(auto fd, descriptors.take(index));
            lease.groups.push_back(std::move(fd));
        }
    }
    VFB_CHECK(check_hand_off(lease, *found));
    return lease;
}

Result<Lease> lease(Client& client, const LeaseRequest& request) {
    VFB_TRY(auto reply, client.call("Lease", to_json(request)));
    return read_lease(std::move(reply));
}

Result<> transfer(Client& client, std::int64_t id, const std::optional<ProcessId>& process) {
    Json parameters{{"lease", id}};
    if (process) parameters["process"] = to_json(*process);
    VFB_CHECK(client.call("Transfer", parameters));
    return {};
}

Result<> keep(Client& client, std::int64_t id) {
    VFB_CHECK(client.call("Keep", {{"lease", id}}));
    return {};
}

Result<> release(Client& client, std::int64_t id, std::optional<std::int64_t> generation) {
    Json parameters = {{"lease", id}};
    put(parameters, "generation", generation);
    VFB_CHECK(client.call("Release", parameters));
    return {};
}

}  // namespace vfb::client
