// SPDX-License-Identifier: GPL-2.0-or-later
#include "attachments.hpp"

#include "client/lease.hpp"

namespace vfb::cni {
namespace {

using proto::Json;

std::unexpected<Error> unusable() {
    return fail(Code::protocol, "read the leases of vfbrokerd", {}, "one is not as expected",
                "vfbrokerd and this plugin may differ in version");
}

Result<Held> read_held(const Json& lease) {
    const auto functions = lease.find("functions");
    if (!lease.contains("id") || functions == lease.end() || !functions->is_array() ||
        functions->empty())
        return unusable();
    const Json& function = functions->front();
    if (!function.contains("generation") || !function.contains("address")) return unusable();
    return Held{.lease = lease["id"].get<std::int64_t>(),
                .generation = function["generation"].get<std::int64_t>(),
                .name = lease["guest"].get<std::string>(),
                .address = function["address"].get<std::string>(),
                .lost = function.value("lost", false)};
}

}  // namespace

Outcome<client::Client> connect(const Config& config) {
    VFB_TRY(auto client, config.socket.empty() ? client::Client::connect()
                                               : client::Client::connect(config.socket));
    return client;
}

Outcome<std::vector<Held>> held(client::Client& client, const std::string& network) {
    VFB_TRY(const auto reply, client.call("ListLeases", Json::object()));
    const std::string prefix = "cni/" + network + "/";
    std::vector<Held> found;
    for (const Json& lease : reply.parameters.value("leases", Json::array())) {
        if (lease.value("owner", "") != "guest" || !lease.value("guest", "").starts_with(prefix))
            continue;
        VFB_TRY(auto one, read_held(lease));
        found.push_back(std::move(one));
    }
    return found;
}

Outcome<> end(client::Client& client, const Held& attachment) {
    const auto ended = client::release(client, attachment.lease, attachment.generation);
    if (ended || ended.error().code == Code::not_found) return {};
    return std::unexpected(Failure(ended.error()));
}

}  // namespace vfb::cni
