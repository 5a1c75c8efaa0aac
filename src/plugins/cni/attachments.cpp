// SPDX-License-Identifier: GPL-2.0-or-later
#include "attachments.hpp"

namespace vfb::cni {

Outcome<client::Client> connect(const Config& config) {
    VFB_TRY(auto client, config.socket.empty() ? client::Client::connect()
                                               : client::Client::connect(config.socket));
    return client;
}

Outcome<std::vector<client::LeaseSummary>> attachments_of(client::Client& client,
                                                          const std::string& network) {
    VFB_TRY(auto leases, client::leases(client));
    const std::string prefix = "cni/" + network + "/";
    std::erase_if(leases, [&prefix](const client::LeaseSummary& lease) {
        return lease.owner != "guest" || !lease.guest.starts_with(prefix);
    });
    return leases;
}

}  // namespace vfb::cni
