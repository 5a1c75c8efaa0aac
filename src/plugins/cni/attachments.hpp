// SPDX-License-Identifier: GPL-2.0-or-later
//
// The attachments that vfbrokerd knows: leases whose guests' names are attachment_name().
#pragma once

#include <string>
#include <vector>

#include "client/client.hpp"
#include "config.hpp"

namespace vfb::cni {

struct Held {
    std::int64_t lease = 0;
    std::int64_t generation = 0;
    std::string name;     // attachment_name()
    std::string address;  // of the PCI function
    bool lost = false;    // it went away
};

Outcome<client::Client> connect(const Config& config);
// Those of the network; of all stages but the one in which ADD still holds the lease itself.
Outcome<std::vector<Held>> held(client::Client& client, const std::string& network);
// That it has ended meanwhile is what was wanted.
Outcome<> end(client::Client& client, const Held& attachment);

}  // namespace vfb::cni
